/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/* Making JSON. A Node remembers that an allocation failed and passes it on to the node that it is
 * put into, so that only node_write() has to look. Text need not be UTF-8. */

#include "model/verdict.h"

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

typedef struct Node {
        struct json_object *json; /* NULL: out of memory, here or below */
} Node;

Node node_object(void);
Node node_array(void);

void node_text(Node *node, const char *key, const char *value);            /* NULL: null */
void node_number(Node *node, const char *key, bool there, uint64_t value); /* not there: null */
void node_bool(Node *node, const char *key, bool value);
void node_null(Node *node, const char *key);

/* Both take the value. */
void node_put(Node *node, const char *key, Node *value);
void node_append(Node *array, Node *value);

void node_append_text(Node *array, const char *value);

/* Its level and notes. */
void node_verdict(Node *node, const Verdict *verdict);

/* One line (or several, pretty) with a line break; releases the node. -ENOMEM, -EIO. */
int node_write(FILE *out, Node *node, bool pretty);

/* SPDX-License-Identifier: GPL-2.0-or-later */

#include "json/node.h"

#include "base/cleanup.h"
#include "base/err.h"
#include "json/utf.h"

#include <json-c/json.h>

Node node_object(void) {
        return (Node){json_object_new_object()};
}

Node node_array(void) {
        return (Node){json_object_new_array()};
}

static void node_break(Node *node) {
        json_object_put(node->json);
        node->json = NULL;
}

void node_null(Node *node, const char *key) {
        if (node->json && json_object_object_add(node->json, key, NULL) < 0)
                node_break(node);
}

/* Takes the value. */
static void put(Node *node, const char *key, json_object *value) {
        if (node->json && value && json_object_object_add(node->json, key, value) == 0)
                return;
        json_object_put(value);
        node_break(node);
}

void node_put(Node *node, const char *key, Node *value) {
        put(node, key, value->json);
        value->json = NULL;
}

void node_append(Node *array, Node *value) {
        if (array->json && value->json && json_object_array_add(array->json, value->json) == 0) {
                value->json = NULL;
                return;
        }
        node_break(value);
        node_break(array);
}

void node_append_text(Node *array, const char *value) {
        _cleanup_(freep) char *clean = text_utf8(value);
        Node text = {clean ? json_object_new_string(clean) : NULL};

        node_append(array, &text);
}

void node_text(Node *node, const char *key, const char *value) {
        _cleanup_(freep) char *clean = value ? text_utf8(value) : NULL;

        if (!value)
                node_null(node, key);
        else
                put(node, key, clean ? json_object_new_string(clean) : NULL);
}

void node_number(Node *node, const char *key, bool there, uint64_t value) {
        if (there)
                put(node, key, json_object_new_uint64(value));
        else
                node_null(node, key);
}

void node_bool(Node *node, const char *key, bool value) {
        put(node, key, json_object_new_boolean(value));
}

void node_verdict(Node *node, const Verdict *verdict) {
        Node array = node_array();

        node_text(node, "level", verdict_level_text(verdict->level));
        for (size_t i = 0; i < verdict->n_notes; i++) {
                const VerdictNote *n = verdict->notes + i;
                Node o = node_object();

                node_text(&o, "level", verdict_level_text(n->level));
                node_text(&o, "what", n->what);
                node_text(&o, "text", n->text);
                node_text(&o, "remedy", n->remedy);
                node_append(&array, &o);
        }
        node_put(node, "notes", &array);
}

int node_write(FILE *out, Node *node, bool pretty) {
        int flags = JSON_C_TO_STRING_NOSLASHESCAPE |
                    (pretty ? JSON_C_TO_STRING_PRETTY : JSON_C_TO_STRING_PLAIN);
        const char *text = node->json ? json_object_to_json_string_ext(node->json, flags) : NULL;
        int r = 0;

        if (!text)
                r = -ENOMEM;
        else if (fputs(text, out) < 0 || fputc('\n', out) < 0)
                r = err_born(-EIO, "cannot write JSON");
        node_break(node);
        return r;
}

/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/* JSON that others wrote: one object, of well-formed UTF-8, not deeper than JSON_DEPTH, with nothing behind
 * it. No text in it has a NUL, so a text is a string. */

#include <stdbool.h>
#include <stddef.h>

#define JSON_DEPTH 16

typedef struct JsonObject {
        struct json_object *json; /* NULL: an empty one */
} JsonObject;

/* -EINVAL: it is none. -ENOMEM. */
int json_read(const char *text, size_t size, JsonObject *ret);
void json_done(JsonObject *object);

/* What is there under a key, as long as the object lives; answer 1: nothing, or null; -EINVAL: something
 * else. Errors have no sentence: who asks knows what for. */
int json_get_text(const JsonObject *object, const char *key, const char **ret);
int json_get_flag(const JsonObject *object, const char *key, bool *ret);
int json_get_object(const JsonObject *object, const char *key, JsonObject *ret);

/* A key that is none of these (the last one is NULL), or NULL. */
const char *json_unknown_key(const JsonObject *object, const char *const *keys);

/* SPDX-License-Identifier: GPL-2.0-or-later */

#include "json/reading.h"

#include "base/cleanup.h"

#include <errno.h>
#include <json-c/json.h>
#include <limits.h>
#include <string.h>

static void tokener_freep(struct json_tokener **tokener) {
        if (*tokener)
                json_tokener_free(*tokener);
}

int json_read(const char *text, size_t size, JsonObject *ret) {
        _cleanup_(tokener_freep) struct json_tokener *tokener = json_tokener_new_ex(JSON_DEPTH);
        struct json_object *json;

        if (!tokener)
                return -ENOMEM;
        if (size > INT_MAX)
                return -EINVAL;
        json_tokener_set_flags(tokener, JSON_TOKENER_STRICT | JSON_TOKENER_VALIDATE_UTF8);
        json = json_tokener_parse_ex(tokener, text, (int)size);
        if (json_tokener_get_error(tokener) != json_tokener_success ||
            json_tokener_get_parse_end(tokener) != size || !json_object_is_type(json, json_type_object)) {
                json_object_put(json);
                return -EINVAL;
        }
        ret->json = json;
        return 0;
}

void json_done(JsonObject *object) {
        json_object_put(object->json);
        object->json = NULL;
}

static int value_of(const JsonObject *object, const char *key, enum json_type type,
                    struct json_object **ret) {
        struct json_object *value = NULL;

        if (!json_object_object_get_ex(object->json, key, &value) || !value)
                return 1;
        if (!json_object_is_type(value, type))
                return -EINVAL;
        *ret = value;
        return 0;
}

int json_get_text(const JsonObject *object, const char *key, const char **ret) {
        struct json_object *value;
        const char *text;
        int r = value_of(object, key, json_type_string, &value);

        if (r != 0)
                return r;
        text = json_object_get_string(value);
        if (strlen(text) != (size_t)json_object_get_string_len(value))
                return -EINVAL;
        *ret = text;
        return 0;
}

int json_get_flag(const JsonObject *object, const char *key, bool *ret) {
        struct json_object *value;
        int r = value_of(object, key, json_type_boolean, &value);

        if (r == 0)
                *ret = json_object_get_boolean(value);
        return r;
}

int json_get_object(const JsonObject *object, const char *key, JsonObject *ret) {
        return value_of(object, key, json_type_object, &ret->json);
}

const char *json_unknown_key(const JsonObject *object, const char *const *keys) {
        struct json_object_iterator at, end;

        if (!object->json)
                return NULL;
        at = json_object_iter_begin(object->json);
        end = json_object_iter_end(object->json);
        for (; !json_object_iter_equal(&at, &end); json_object_iter_next(&at)) {
                const char *name = json_object_iter_peek_name(&at);
                const char *const *key = keys;

                while (*key && strcmp(*key, name) != 0)
                        key++;
                if (!*key)
                        return name;
        }
        return NULL;
}

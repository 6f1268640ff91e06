/* SPDX-License-Identifier: GPL-2.0-or-later */

#include "model/label.h"

#include "base/cleanup.h"

#include <string.h>

#define STACKED "//&"

/* Behind the last profile there is the mode, "name (enforce)"; names may have blanks and brackets. */
static size_t without_mode(const char *label) {
        size_t l = strcspn(label, "\n");

        if (l == 0 || label[l - 1] != ')')
                return l;
        for (size_t i = l - 1; i > 0; i--)
                if (label[i] == '(' && label[i - 1] == ' ')
                        return i - 1;
        return l;
}

static bool is_unconfined(const char *name, size_t l) {
        static const char text[] = "unconfined";
        size_t n = sizeof text - 1;

        return l >= n && memcmp(name + l - n, text, n) == 0 &&
               (l == n || (name[0] == ':' && (name[l - n - 1] == ':' || name[l - n - 1] == '/')));
}

const char *label_next(const char **label, size_t *length) {
        while (**label) {
                const char *name = *label, *stacked = strstr(name, STACKED);
                size_t l = without_mode(name);

                if (stacked && (size_t)(stacked - name) < l)
                        l = (size_t)(stacked - name);
                else
                        stacked = NULL;
                *label = stacked ? stacked + strlen(STACKED) : name + strlen(name);
                if (l == 0 || is_unconfined(name, l))
                        continue;
                *length = l;
                return name;
        }
        return NULL;
}

/* A namespace is ":ns:name" in a label, and ":ns://name" in the list. */
static size_t namespace_length(const char *name, size_t length) {
        const char *end = length > 1 && name[0] == ':' ? memchr(name + 1, ':', length - 1) : NULL;

        return end ? (size_t)(end - name) + 1 : 0;
}

static bool line_is(const char *line, const char *name, size_t length) {
        size_t ns = namespace_length(name, length);

        if (strncmp(line, name, ns) != 0)
                return false;
        line += ns;
        name += ns;
        length -= ns;
        if (ns > 0 && strncmp(line, "//", 2) == 0)
                line += 2;
        if (ns > 0 && length > 2 && strncmp(name, "//", 2) == 0) {
                name += 2;
                length -= 2;
        }
        return strncmp(line, name, length) == 0 && strncmp(line + length, " (", 2) == 0 &&
               !memchr(line, '\n', length);
}

bool label_is_loaded(const char *list, const char *name, size_t length) {
        for (const char *line = list; line; line = strchr(line, '\n')) {
                line += *line == '\n';
                if (line_is(line, name, length))
                        return true;
        }
        return false;
}

/* SPDX-License-Identifier: GPL-2.0-or-later */

#include "files/state-file.h"

#include <stdio.h>
#include <string.h>

bool state_value(const char *text, const char *key, char *out, size_t size, bool *ret_quoted) {
        size_t l = strlen(key);
        bool quoted = false, found = false;

        out[0] = '\0';
        for (const char *line = text; line && !found; line = strchr(line, '\n')) {
                size_t n;

                line += *line == '\n';
                if (strncmp(line, key, l) != 0 || line[l] != '=')
                        continue;
                line += l + 1;
                n = strcspn(line, "\n");
                quoted = n >= 2 && line[0] == '"' && line[n - 1] == '"';
                if (quoted) {
                        line++;
                        n -= 2;
                }
                snprintf(out, size, "%.*s", (int)(n < size ? n : size - 1), line);
                found = true;
        }
        if (ret_quoted)
                *ret_quoted = quoted;
        return out[0];
}

/* SPDX-License-Identifier: GPL-2.0-or-later */

#include "base/text.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

int parse_u64(const char *text, uint64_t max, uint64_t *ret) {
        uint64_t v = 0;

        if (!*text)
                return -EINVAL;
        for (const char *p = text; *p; p++) {
                unsigned digit = (unsigned)(*p - '0');

                if (digit > 9 || __builtin_mul_overflow(v, 10, &v) || __builtin_add_overflow(v, digit, &v))
                        return -EINVAL;
        }
        if (v > max)
                return -EINVAL;
        *ret = v;
        return 0;
}

int parse_pid(const char *text, pid_t *ret) {
        uint64_t v;

        if (parse_u64(text, PID_MAX, &v) < 0 || v == 0)
                return -EINVAL;
        *ret = (pid_t)v;
        return 0;
}

int parse_bool(const char *text) {
        static const char *const yes[] = {"yes", "true", "on", "1", "y", "t"};
        static const char *const no[] = {"no", "false", "off", "0", "n", "f"};

        for (size_t i = 0; i < sizeof yes / sizeof yes[0]; i++) {
                if (strcasecmp(text, yes[i]) == 0)
                        return 1;
                if (strcasecmp(text, no[i]) == 0)
                        return 0;
        }
        return -EINVAL;
}

char *text_format(const char *format, ...) {
        va_list ap;
        char *text;
        int r;

        va_start(ap, format);
        r = vasprintf(&text, format, ap);
        va_end(ap);
        return r < 0 ? NULL : text;
}

void text_tame(char *text) {
        for (unsigned char *p = (unsigned char *)text; *p; p++)
                if (*p < ' ' || *p == 0x7f)
                        *p = '?';
                else if (p[0] == 0xc2 && p[1] >= 0x80 && p[1] < 0xa0)
                        p[0] = p[1] = '?';
}

bool starts_with(const char *text, const char *prefix) {
        return strncmp(text, prefix, strlen(prefix)) == 0;
}

bool ends_with(const char *text, const char *suffix) {
        size_t a = strlen(text), b = strlen(suffix);

        return a >= b && memcmp(text + a - b, suffix, b) == 0;
}

bool path_has_dots(const char *path) {
        for (const char *p = path; *p; p += strcspn(p, "/")) {
                size_t l;

                p += strspn(p, "/");
                l = strcspn(p, "/");
                if ((l == 1 || l == 2) && strncmp(p, "..", l) == 0)
                        return true;
        }
        return false;
}

bool name_is_safe(const char *name) {
        size_t l = strlen(name);

        if (l == 0 || l > 128 || strcmp(name, ".") == 0 || strcmp(name, "..") == 0)
                return false;
        return strspn(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.@-") == l;
}

bool unit_is_safe(const char *name) {
        size_t l = strlen(name);

        if (l == 0 || l > 255 || name[0] == '.')
                return false;
        return strspn(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789:_.@\\-") == l;
}

int text_written(int (*write)(FILE *out, const void *userdata), const void *userdata, char **ret) {
        char *text = NULL;
        size_t size;
        FILE *out = open_memstream(&text, &size);
        int r;

        if (!out)
                return -ENOMEM;
        r = write(out, userdata);
        if (fclose(out) != 0 && r >= 0)
                r = -ENOMEM;
        if (r < 0) {
                free(text);
                return r;
        }
        *ret = text;
        return 0;
}

void hex_encode(const void *data, size_t n, char *out) {
        static const char digits[] = "0123456789abcdef";
        const unsigned char *p = data;

        for (size_t i = 0; i < n; i++) {
                out[2 * i] = digits[p[i] >> 4];
                out[2 * i + 1] = digits[p[i] & 15];
        }
        out[2 * n] = '\0';
}

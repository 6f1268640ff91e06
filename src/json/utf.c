/* SPDX-License-Identifier: GPL-2.0-or-later */

#include "json/utf.h"

#include <stddef.h>
#include <stdint.h>
#include <string.h>

/* The length of the well-formed sequence at p (RFC 3629: no overlong forms, no surrogates, nothing above
 * U+10FFFF), or 0. The NUL at the end ends every sequence that is cut short. */
static size_t utf8_sequence(const uint8_t *p) {
        uint8_t low = 0x80, high = 0xbf;
        size_t n;

        if (p[0] < 0x80)
                return 1;
        if (p[0] < 0xc2 || p[0] > 0xf4)
                return 0;
        n = p[0] < 0xe0 ? 2 : p[0] < 0xf0 ? 3 : 4;
        if (p[0] == 0xe0)
                low = 0xa0;
        else if (p[0] == 0xed)
                high = 0x9f;
        else if (p[0] == 0xf0)
                low = 0x90;
        else if (p[0] == 0xf4)
                high = 0x8f;
        if (p[1] < low || p[1] > high)
                return 0;
        for (size_t i = 2; i < n; i++)
                if (p[i] < 0x80 || p[i] > 0xbf)
                        return 0;
        return n;
}

char *text_utf8(const char *text) {
        uint8_t *copy = (uint8_t *)strdup(text ?: "");

        for (uint8_t *p = copy; p && *p;) {
                size_t n = utf8_sequence(p);

                if (n == 0)
                        *p = '?';
                p += n ?: 1;
        }
        return (char *)copy;
}

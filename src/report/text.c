/* SPDX-License-Identifier: GPL-2.0-or-later */

/* A process may call itself "\033]0;...": whatever a kept tree chose is shown without its control
 * characters. Eight-bit and encoded C1 controls move some terminals too, so people get ASCII; machines get
 * well-formed UTF-8. */

#include "report/text.h"

#include "base/cleanup.h"
#include "base/clock.h"

#include <inttypes.h>
#include <string.h>
#include <time.h>

char *text_printable(const char *text) {
        char *copy = strdup(text ?: "");

        for (char *p = copy; p && *p; p++)
                if (*p < ' ' || *p > '~')
                        *p = '?';
        return copy;
}

/* What of a word does not fit on a line of its own goes on the next one. */
static size_t put_word(FILE *out, size_t at, size_t columns, bool cuts, const char *word) {
        size_t n = strlen(word);

        for (; cuts && n > columns - at; n -= columns - at, word += columns - at)
                fprintf(out, "%.*s\n%*s", (int)(columns - at), word, (int)at, "");
        fputs(word, out);
        return at + n;
}

void text_flow(FILE *out, size_t at, size_t columns, bool cuts, const char *text) {
        _cleanup_(freep) char *copy = text_printable(text);
        char *rest = copy, *word;
        size_t column = at;

        while ((word = strsep(&rest, " "))) {
                size_t n = strlen(word);

                if (n == 0)
                        continue;
                if (column > at && column + 1 + n > columns) {
                        fprintf(out, "\n%*s", (int)at, "");
                        column = at;
                }
                if (column > at) {
                        fputc(' ', out);
                        fputs(word, out);
                        column += 1 + n;
                } else
                        column = put_word(out, at, columns, cuts, word);
        }
        fputc('\n', out);
}

void text_paragraph(FILE *out, size_t indent, const char *label, const char *text) {
        fprintf(out, "%*s%s", (int)indent, "", label);
        text_flow(out, indent + strlen(label), REPORT_COLUMNS, false, text);
}

void text_moment(uint64_t realtime, bool full, char out[static REPORT_MOMENT_SIZE]) {
        time_t seconds = (time_t)(realtime / USEC_PER_SEC);
        struct tm tm;

        if (!localtime_r(&seconds, &tm) ||
            strftime(out, REPORT_MOMENT_SIZE, full ? "%a %Y-%m-%d %H:%M:%S %Z" : "%Y-%m-%d %H:%M", &tm) == 0)
                snprintf(out, REPORT_MOMENT_SIZE, "%" PRIu64 " us", realtime);
}

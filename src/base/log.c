/* SPDX-License-Identifier: GPL-2.0-or-later */

#include "base/log.h"

#include "base/err.h"

#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>

static atomic_int max_level = -1; /* each thread may be the first that speaks */

void log_line(int level, const char *format, ...) {
        char line[2048];
        va_list ap;

        if (max_level < 0)
                max_level = getenv("CARRYOVER_DEBUG") ? LOG_DEBUG : LOG_INFO;
        if (level > max_level)
                return;
        va_start(ap, format);
        vsnprintf(line, sizeof line, format, ap);
        va_end(ap);
        if (getenv("JOURNAL_STREAM"))
                fprintf(stderr, "<%d>%s\n", level, line);
        else
                fprintf(stderr, "%s\n", line);
}

void log_failed(int r, const char *consequence) {
        if (r < 0)
                log_warning("%s: %s", consequence, err_text(r));
}

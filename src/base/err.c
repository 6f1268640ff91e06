/* SPDX-License-Identifier: GPL-2.0-or-later */

/* One record per thread: the sentence, where it was born, and the frames it came through. Fixed buffers,
 * since an error is often -ENOMEM; what does not fit is cut, never overrun. Each sentence is one line, since
 * it goes to logs and to root's terminal as it is. */

#include "base/err.h"

#include "base/text.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

static _Thread_local ErrRecord record;
static _Thread_local char shown[1200];

static void __attribute__((format(printf, 5, 0)))
set(const char *file, int line, int r, bool plain, const char *format, va_list ap) {
        record.r = r;
        record.plain = plain;
        vsnprintf(record.text, sizeof record.text, format, ap);
        text_tame(record.text);
        snprintf(record.way, sizeof record.way, "%s:%d", file, line);
}

void err_record(const char *file, int line, int r, const char *format, ...) {
        va_list ap;

        va_start(ap, format);
        set(file, line, r, false, format, ap);
        va_end(ap);
}

void err_record_plain(const char *file, int line, int r, const char *format, ...) {
        va_list ap;

        va_start(ap, format);
        set(file, line, r, true, format, ap);
        va_end(ap);
}

void err_trace(const char *function, int r) {
        size_t l = strlen(record.way);

        if (r < 0 && r == record.r)
                snprintf(record.way + l, sizeof record.way - l, " < %s", function);
}

int err_prefix(int r, const char *format, ...) {
        char old[sizeof record.text];
        va_list ap;
        size_t l;

        if (r >= 0)
                return r;
        if (record.r != r || !record.text[0]) {
                record.r = r;
                record.plain = true;
                snprintf(record.text, sizeof record.text, "%s", strerror(-r));
        }
        memcpy(old, record.text, sizeof old);
        va_start(ap, format);
        vsnprintf(record.text, sizeof record.text, format, ap);
        va_end(ap);
        text_tame(record.text);
        l = strlen(record.text);
        snprintf(record.text + l, sizeof record.text - l, "%s", old);
        return r;
}

const char *err_text(int r) {
        if (record.r != r || !record.text[0])
                return strerror(r < 0 ? -r : r);
        if (record.plain)
                return record.text;
        snprintf(shown, sizeof shown, "%s: %s", record.text, strerror(-r));
        return shown;
}

const char *err_way(void) {
        return record.way;
}

void err_clear(void) {
        record.r = 0;
        record.text[0] = record.way[0] = '\0';
}

ErrRecord err_keep(void) {
        return record;
}

void err_put_back(const ErrRecord *kept) {
        record = *kept;
}

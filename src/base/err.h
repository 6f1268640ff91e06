/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/*
 * Errors of carryover.
 *
 * A function returns 0 (or a count) on success and a negative errno on failure: that is fatal for the
 * operation and climbs untouched. A positive result is an answer that the header of that one function
 * defines; its direct caller handles it and never forwards it.
 *
 * The sentence for the user is made where the error is born, because only that place knows what was
 * attempted on what:
 *
 *         fd = open(path, O_RDONLY | O_CLOEXEC);
 *         if (fd < 0)
 *                 return err_born(-errno, "cannot read the keep list %s", path);
 *
 * and frames above add nothing but their way: `return err_pass(r);`. The layer that speaks (flow, cli,
 * report) prints err_text() once. The record is per thread; a later err_born() replaces it.
 *
 * -ENOMEM is returned as it is, without a sentence: what was attempted on what does not matter to it.
 */

#include <errno.h>
#include <stdbool.h>

/* Records the sentence and the place; evaluates to r (negative). No newline, no full stop, no %m: the text
 * of the errno is appended by err_text(). */
#define err_born(r, ...) err_made_by_(err_record, (r), __VA_ARGS__)

/* The same for a refusal whose sentence already says it all: err_text() appends no errno text. */
#define err_say(r, ...) err_made_by_(err_record_plain, (r), __VA_ARGS__)

/* Marks a frame on the way up; evaluates to r. */
#define err_pass(r) err_passed_by_(__func__, (r))

/* What a system call that failed leaves behind, negative: where the caller above makes the sentence. */
#define err_errno() err_negative_(-errno)

/* That each of them is r itself, and that an error is negative, stands here for whoever reads one caller at
 * a time: a static analyzer would otherwise go on after a failure as if nothing had failed. */
#define err_made_by_(record, r, ...)                                                                        \
        ({                                                                                                  \
                int err_value_ = err_negative_(r);                                                          \
                record(__FILE__, __LINE__, err_value_, __VA_ARGS__);                                        \
                err_value_;                                                                                 \
        })

static inline int err_negative_(int r) {
#ifdef __clang_analyzer__
        __builtin_assume(r < 0);
#endif
        return r;
}

void err_record(const char *file, int line, int r, const char *format, ...)
                __attribute__((format(printf, 4, 5)));
void err_record_plain(const char *file, int line, int r, const char *format, ...)
                __attribute__((format(printf, 4, 5)));
void err_trace(const char *function, int r);

static inline int err_passed_by_(const char *function, int r) {
        err_trace(function, r);
        return r;
}

/* Puts a clause in front of the sentence that is recorded ("tree 'session-4': "). Evaluates to r. */
int err_prefix(int r, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* The sentence for r, "what: why". If nothing was recorded for exactly this r, just strerror. Valid until
 * the next err_ call of this thread. */
const char *err_text(int r);

/* "src/x.c:12 via a < b < c", for debug logs. Same lifetime. */
const char *err_way(void);

void err_clear(void);

/* Around a clean-up that may meet errors of its own while another one climbs: what was recorded before is
 * recorded again. */
typedef struct ErrRecord {
        int r;
        bool plain;
        char text[1024];
        char way[512];
} ErrRecord;

ErrRecord err_keep(void);
void err_put_back(const ErrRecord *kept);

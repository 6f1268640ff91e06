/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/* /run/carryover, which dies with the boot. */

#include "base/clock.h"
#include "model/model.h"

#include <stdbool.h>
#include <stdint.h>

/* The sockets of Varlink: root's, and that of users (units/). */
#define RUN_VARLINK       "/run/carryover/io.carryover"
#define RUN_VARLINK_USERS "/run/io.carryover"

int run_keep_read(Keep **ret); /* an empty one if there is no file */
int run_keep_write(const Keep *keep);
/* For what two must not do at once while they keep something. Returns a descriptor, which is the lock.
 * -EBUSY: others had it for 10 s. */
int run_keep_lock(void);
/* Reads it, has it changed and writes it, one process at a time. change: 1 to write it, or 0, which is the
 * answer. -EBUSY as in run_keep_lock(). */
int run_keep_change(int (*change)(Keep *keep, void *userdata), void *userdata);
/* Answer 1: it is on the list already. */
int run_keep_add(const char *target);
/* Takes a target (NULL: every one) off the list. Answer 1: it was not on it. Compared as text, so that what
 * has ended meanwhile can be dropped too; "pid:N" means the "pid:N@START" that is there, and "unit:x" the
 * "unit:x.service". */
int run_keep_drop(const char *target);
int run_request_read(Request **ret); /* answer 1 if none */
int run_request_write(const Request *request);
int run_request_remove(void);
/* Appends one line for the waiting `carryover reboot` to show. */
int run_progress(const char *format, ...) __attribute__((format(printf, 1, 2)));
#define RUN_PROGRESS "/run/carryover/progress"
#define RUN_REQUEST  "/run/carryover/request"
/*
 * Whether what is under way is sealed or called off: the save and `carryover cancel` ask for it, and it is
 * given to one of them.
 */
/* From here on it may be either. Forgets what was called off before. */
int run_seal_allow(void);
/* A save begins; requested: by `carryover reboot`, which has allowed it. Answer 1: it was called off
 * meanwhile. */
int run_seal_begin(bool requested);
/* Right before the seal, or where there will be none: from here on nobody can call it off. Whether somebody
 * has is asked behind it. */
int run_seal_take(void);
/* Answer 1: there is nothing that may be called off, or not any more. */
int run_call_off(void);
bool run_called_off(void);
#define RUN_MAY_SEAL   "/run/carryover/may-seal"
#define RUN_CALLED_OFF "/run/carryover/called-off"
/* What the save waits for, for the waiting `carryover reboot` to show; NULL: nothing any more. It is the
 * text of a symbolic link: whoever reads it has nothing open, and may be frozen in that moment. */
int run_waits_for(const char *what);
#define RUN_WAITS_FOR "/run/carryover/waits-for"
/* What is held from a save to its restore, for the last hook of the shutdown: the store may be unmounted
 * then. No key is in it. */
int run_hold_read(Early **ret); /* answer 1 if none */
int run_hold_write(const Early *early);
int run_hold_remove(void);
/* Notes that a restore has ended and its report could not be written, so that nobody waits for it; the next
 * restore takes that back. */
int run_unreported(bool unreported);
#define RUN_UNREPORTED "/run/carryover/unreported"
/* What the pool of huge pages had before a restore added some, and what it had then (RUN_HUGE_ADDING: the
 * kernel was about to make them), so that the next start takes them out if this one dies. */
typedef struct RunHuge {
        uint64_t own, made; /* pages */
} RunHuge;

#define RUN_HUGE_ADDING UINT64_MAX
int run_huge_read(RunHuge *ret); /* answer 1 if none */
int run_huge_write(const RunHuge *huge);
int run_huge_remove(void);
int run_directory(void); /* descriptor */
/* What one process at a time may do ("restore", "retry", "reboot"), until it closes this descriptor or ends;
 * another gets -EBUSY. */
int run_lock(const char *what);
int run_lock_is_free(const char *what); /* 1 or 0 */
/* Waits for the end of whoever has that lock, whom it sends the signal first (0: none). Answer 1: nobody had
 * it. -ETIMEDOUT with a sentence. */
int run_lock_wait(const char *what, int signal, uint64_t deadline_monotonic);
/* After which PID 1 ends a save: as TimeoutStopSec= of carryover.service. */
#define SAVE_TIMEOUT (600 * USEC_PER_SEC)

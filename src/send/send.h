/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/*
 * The report leaves the machine: programs of the administrator's are run with it, one after the other. None
 * of them can fail anything else.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct Sending {
        const char *directory; /* of the programs; root's own, and so are they, or they are not run */
        const char *text;      /* on their standard input */
        const char *logs; /* CARRYOVER_LOGS= in their environment: a directory with what they may pass on */
        uint64_t timeout_usec; /* for each; then it is killed, with all that it has started in its session's
                                * group */
} Sending;

/* Whether there is a program: a name that begins with a dot or ends with "~" is none. */
bool send_is_wanted(const char *directory);

/*
 * Runs all, in the order of their names. Returns how many did not end with 0; each has its sentence told to
 * say(). -ENOENT: there is no directory. -EPERM: others can write to it.
 */
int send_all(const Sending *sending, void (*say)(const char *sentence), size_t *ret_failed);

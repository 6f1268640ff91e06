/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/* Whether polkit lets somebody do what is root's. */

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

/* A process, as the kernel tells of it. With the number alone another one that has it by now would be asked
 * about. */
typedef struct PolkitSubject {
        uid_t uid; /* when it began to ask: it may be somebody else's program by now */
        pid_t pid;
        uint64_t start; /* SnapProcess.start */
        int pidfd;      /* or -1: this kernel has none of a peer. polkit takes it from version 124 on */
} PolkitSubject;

/* Answers of polkit_check(); 0: it may. */
enum {
        POLKIT_NO = 1,
        POLKIT_CHALLENGE, /* not without a password, which was not asked for */
};

/* Asks about an action of units/io.carryover.policy. interactive: may ask for a password, and waits for
 * that, two minutes at most. Negative: nobody who could be asked, with a sentence: then only root may. */
int polkit_check(const PolkitSubject *subject, const char *action, bool interactive);

/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/* A reboot that carries, up to where the shutdown has been asked for: for `carryover reboot` (flow.h), which
 * then waits, and for programs, which do not. */

#include "flow/flow.h"
#include "inspect/ending.h"
#include "kernel/kexec.h"
#include "model/candidate.h"
#include "report/wait.h"

#define REBOOT_NOTHING_TEXT "nothing is kept, and this is not a login session: run carryover keep TARGET"

/* Answers of reboot_begin(). */
enum {
        REBOOT_ASK = 1, /* what ending.shown has would end, and nobody has agreed to that */
        REBOOT_REFUSED, /* `why` has the sentence */
        REBOOT_NOTHING, /* REBOOT_NOTHING_TEXT */
};

/* Begins with the options and the caller. */
typedef struct Reboot {
        RebootOptions options;
        pid_t caller; /* the session that it is in is kept too */
        Ending ending;
        Config config;
        Kernel kernel;    /* unless options.no_kexec */
        Candidates trees; /* that are kept, judged */
        Wait wait;        /* of whoever wants the answer */
        char *why;
} Reboot;

void reboot_done(Reboot *reboot);

/*
 * Refuses what can be refused, loads the kernel, and asks systemd for the shutdown, which begins at once:
 * answer 0. With any other answer nothing was touched. -EBUSY: another one, or a shutdown, is in progress.
 * Shows on stdout what is not ok, what would end, and what is kept. After REBOOT_ASK, and once
 * ending.agreed is set, it may be called again.
 */
int reboot_begin(Reboot *reboot);

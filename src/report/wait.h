/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/* Waiting for the report that answers a request, also over a jump, as one of the carried processes. */

#include "base/exit.h"
#include "model/config.h"

#include <sys/types.h>
#include <time.h>

/* What stat() said of a file; all zero if there was none. */
typedef struct Sight {
        ino_t ino;
        off_t size;
        struct timespec changed;
} Sight;

/* Why there is no answer, or in it why nothing was rebooted; and what stands in the way of that. */
#define CANCELLED   "cancelled on request"
#define CANCEL_LATE "too late to cancel: the save is sealed; the next boot restores the kept trees"

typedef struct Wait Wait;

struct Wait {
        const Config *config;
        uint64_t request;
        char boot[37], first_boot[37]; /* the second one is where it began */
        off_t offset; /* how far the progress file of that boot was shown; the next one's begins anew */
        Sight progress, report;
        unsigned seconds; /* that the line on the terminal shows; 0: there is none */
        /* Of a reboot; NULL: of a restore. Called for the first Ctrl-C, where it is caught
         * (base/interrupt.h); the next one ends the process. */
        void (*interrupted)(const Wait *wait);
};

/* Before anything is asked for, so that nothing is missed. The answer is the report whose request_at is
 * `request`. */
Wait wait_begin(const Config *config, uint64_t request);

/* Shows what is told of the progress, and then the report. EXIT_OK: all went well, or this tree is back, if
 * one is named. On a terminal that has colours, one line says meanwhile what is waited for, and how long. */
ExitStatus wait_answer(Wait *w, const char *tree);

/* Says why it can be called off no more, if it is sealed; else the answer is about to come. */
void wait_say_late(const Wait *w);

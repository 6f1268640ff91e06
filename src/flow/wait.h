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

typedef struct Wait {
        const Config *config;
        uint64_t request;
        char boot[37];
        off_t offset; /* how far the progress file of that boot was shown; the next one's begins anew */
        Sight progress, report;
} Wait;

/* Before anything is asked for, so that nothing is missed. The answer is the report whose request_at is
 * `request`. */
Wait wait_begin(const Config *config, uint64_t request);

/* Shows what is told of the progress, and then the report. EXIT_OK: all went well, or this tree is back, if
 * one is named. */
ExitStatus wait_answer(Wait *w, const char *tree);

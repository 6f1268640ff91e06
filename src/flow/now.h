/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/* What stands now: the newest ticket, whatever it waits for, and what is kept and held beside it. */

#include "base/exit.h"
#include "report/report.h"
#include "store/history.h"

typedef struct Now {
        Ticket *ticket; /* one that waits for the next boot or is being restored comes before the report of
                         * an older save; NULL: there was no save yet */
        ReportNow stands;
        char *bad; /* path of a ticket that was cut short or altered, or NULL */
} Now;

/* tree: of the ticket this one alone, with the steps that are its own or everybody's; or NULL. -ENOENT: it
 * has none of that name. */
int now_look(const char *tree, Now *ret);
void now_done(Now *now);

/* What becomes readable when now_look() may have another answer (store/watch.h); the caller closes it. */
int now_watch(void);

/* The reports of the last saves. */
int now_history(History *ret);

/* Whether all is well, or nothing is kept and nothing was. */
ExitStatus now_status(const Now *now);

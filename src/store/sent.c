/* SPDX-License-Identifier: GPL-2.0-or-later */

#include "base/cleanup.h"
#include "base/err.h"
#include "base/fd.h"
#include "base/text.h"
#include "store/store.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#define SENT       "report.sent"
#define SENT_LIMIT 256u

/* A save has one report when its restore begins to fail, and another one when it was tried once more. */
static char *mark_of(const Ticket *report) {
        return text_format("%s %" PRIu64 "\n", report->id, report->has_done_at ? report->done_at : 0);
}

bool store_report_was_sent(const Store *store, const Ticket *report) {
        _cleanup_(freep) char *mark = mark_of(report), *there = NULL;

        return mark && file_slurp(store->fd, SENT, SENT_LIMIT, &there, NULL) >= 0 &&
               strcmp(mark, there) == 0;
}

int store_report_sent(const Store *store, const Ticket *report) {
        _cleanup_(freep) char *mark = mark_of(report);

        return mark ? file_replace(store->fd, SENT, mark, strlen(mark)) : -ENOMEM;
}

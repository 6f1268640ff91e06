/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/* The reports of the last saves, for people: history/ in the store. */

#include "model/model.h"
#include "store/handle.h"

#define STORE_HISTORY 20u /* saves; each some kilobytes */

/* Notes a report, in the place of an older one of the same save. The oldest saves go. */
int store_history_add(const Store *store, const Ticket *report);

/* Newest first. Of a tree they have no more than people are told: name, target, command, user, when it
 * was frozen, what was degraded, and the outcome. */
typedef struct History {
        Ticket **reports;
        size_t n;
        char *damaged; /* path of the newest one that cannot be read and is left out, or NULL */
} History;

int store_history(const Store *store, History *ret);
void history_done(History *history);

/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/* Trees of the last save that are not back yet when the next one is asked for: they go along. */

#include "model/model.h"
#include "store/store.h"

/* A ticket with those trees alone, or answer 1 if there are none. -EEXIST with a sentence: somebody must
 * start their restore, which has died. */
int waiting_find(const Store *store, Ticket **ret);

/* They, and what keeps them, as a sentence. Caller frees; NULL: no memory. */
char *waiting_text(const Ticket *waiting);

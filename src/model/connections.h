/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/* Views over a ticket, as the hold and early boot want it. */

#include "model/box.h"
#include "model/model.h"

typedef struct Connections {
        Connection **items; /* the ticket's own */
        size_t n;
} Connections;

void connections_done(Connections *c);

/* Those of all trees that are still to come back (outcome pending or none), as processes and as packets see
 * them. */
int connections_of(const Ticket *ticket, Connections *ret);

/* The highest number that a restore will ask for; 0 if none. */
uint32_t highest_pid(const Ticket *ticket);

/* What the initramfs needs. Free with model_free(). */
int early_of(const Ticket *ticket, Early **ret);

/* The key of the images goes along; and goes no further: forgotten, its bytes are overwritten. */
int early_set_key(Early *early, const uint8_t key[static BOX_KEY]);
void early_forget_key(Early *early);

/* Whether an initramfs that is told `loaded` does all that `needed` asks for: it may lift the process
 * numbers further and hold more. */
bool early_covers(const Early *loaded, const Early *needed);

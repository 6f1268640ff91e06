/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/* Views over a ticket, as the hold and early boot want it. */

#include "model/box.h"
#include "model/model.h"

/* What the hold drops. The messages are the ticket's own, or the Early's. */
typedef struct HoldSet {
        Connection **connections;
        size_t n_connections;
        Port **ports;
        size_t n_ports;
} HoldSet;

void hold_set_done(HoldSet *set);
bool hold_set_is_empty(const HoldSet *set);

/* Connections, as processes and as packets see them, and ports of all trees that are still to come back
 * (outcome pending or none); of ports, of each user and of all but root, no more than a few
 * (connections.c). */
int hold_set_of(const Ticket *ticket, HoldSet *ret);

/* A view, which nobody frees. */
HoldSet hold_set_of_early(const Early *early);

/* The highest number that a restore will ask for; 0 if none. */
uint32_t early_highest_pid(const Ticket *ticket);

/* What the initramfs needs. Free with model_free(). */
int early_of(const Ticket *ticket, Early **ret);

/* The key of the images goes along; and goes no further: forgotten, its bytes are overwritten. */
int early_set_key(Early *early, const uint8_t key[static BOX_KEY]);
void early_forget_key(Early *early);

/* Whether an initramfs that is told `loaded` does all that `needed` asks for: it may lift the process
 * numbers further and hold more. */
bool early_covers(const Early *loaded, const Early *needed);

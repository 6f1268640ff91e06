/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/*
 * A ticket whose trees still wait for their restore when the next save begins: they go along with what is
 * saved then, in one ticket. Their images stay where they are, so a tree that is saved gets another name
 * than one that waits, and the new ticket keeps the old one's key for checksums.
 */

#include "model/model.h"

/* Gives each tree whose name one of the waiting trees has another name. */
int waiting_name_apart(Ticket *ticket, const Ticket *waiting);

/* Appends copies of the waiting trees, whose restore begins anew, and what early boot must know of them. */
int waiting_join(Ticket *ticket, const Ticket *waiting);

/* The waiting trees' connection tracking entries, behind those of the new ones: of two that name the same
 * connection the first one counts (netfilter/conntrack.h). */
int waiting_join_tracking(Ticket *ticket, const Ticket *waiting);

/* Takes the waiting trees out again: the ticket has its first n trees. */
void waiting_part(Ticket *ticket, size_t n);

/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/* What people read on their terminals of a save and a restore (Notify=). Inside this room. It takes three
 * seconds at most, and nothing hangs on it. */

#include "flow/saving.h"

/* A save begins, for these trees: to whom it carries and for about how long they are silent, to all others
 * that their session ends. Notes where `carryover reboot` waits. */
void tell_begun(Saving *s);

/* There is no jump: to whom tell_begun() has spoken, that nothing ends; if the shutdown is somebody else's,
 * to those that would have been carried, that they are not. */
void tell_stopped(Saving *s);

/* The session of a tree is back. Not where `carryover reboot` waits, since it prints the report there. */
void tell_carried(const Config *config, const Ticket *ticket, const Tree *tree);

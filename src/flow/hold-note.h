/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/* What the hold is on from a save to its restore, noted in /run: flow_last() puts it back from there. */

#include "model/config.h"
#include "model/connections.h"

/* In place of what was noted before. */
int hold_note_write(const Ticket *ticket, HoldBackend used, const HoldSet *all);
/* A restore has the hold from here on, or nothing is held any more. */
void hold_note_forget(void);

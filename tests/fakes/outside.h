/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/* What outside.c was asked for. Whoever asks must have a lock of its own. */

#include <stdbool.h>
#include <stddef.h>

/* How often a hold was set: read and written so that no thread learns anything else of the others by it. */
unsigned fake_holds_set(void);
extern size_t fake_held; /* connections in the last hold */
extern unsigned fake_holds_cleared;
extern bool fake_hold_is_there;
extern unsigned fake_bus_opened; /* there is no systemd: -ENOENT */

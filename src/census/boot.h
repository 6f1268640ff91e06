/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/*
 * Inside this room: whether the next boot starts a unit.
 *
 * It does if a way leads from the unit to default.target, each step being a unit that wants, requires, binds
 * to, upholds or triggers the one before it; or to a device. A unit on that way counts only if the next boot
 * knows it: not if it is masked, not loaded, or if its file or the link that enables it lies in /run (what a
 * generator makes is made anew). A connection's instance of a socket's service (X@….service of X.socket) is
 * not started again by that socket. What D-Bus starts for whoever asks counts as started, and so does a
 * getty, which logind starts on the terminal that somebody turns to.
 */

#include "census/world.h"

typedef struct Boot Boot;

int boot_new(const CensusWorld *world, Boot **ret);
Boot *boot_free(Boot *boot);
static inline void boot_freep(Boot **p) {
        (void)boot_free(*p);
}

/* What PID 1 knows of it; valid as long as the boot is. */
int boot_facts(Boot *boot, const char *unit, const UnitFacts **ret);

/* 1 or 0. */
int boot_starts(Boot *boot, const char *unit);

/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/* Pseudo terminals of the host's devpts. The kernel hands out the lowest free index; CRIU asks up to 32
 * times for the one it needs. */

#include <stddef.h>
#include <stdint.h>

/* CRIU's own limit for an index. */
#define PTY_INDEX_MAX 1000u

/* Masters that were opened until each wanted index was ours or found to be somebody else's. Several threads
 * may take out of it at once. */
typedef struct PtyReserve PtyReserve;

int pty_reserve(const uint32_t *wanted, size_t n, PtyReserve **ret);
PtyReserve *pty_reserve_free(PtyReserve *reserve); /* closes all */
static inline void pty_reserve_freep(PtyReserve **p) {
        (void)pty_reserve_free(*p);
}

/* Takes the master with this index out of the reserve; the caller closes it. -ENOENT if we never had it
 * (somebody else has it). Fillers stay, so that the index is within CRIU's reach when it is closed. */
int pty_take(PtyReserve *reserve, uint32_t index);

/* The same with an index that is free or ours now, for a terminal whose number is lost. */
int pty_spare(PtyReserve *reserve, uint32_t *ret);

/* A terminal of nobody's: its master is in the reserve and is never read; with the reserve it hangs up.
 * Returns the slave's descriptor. */
int pty_dead(PtyReserve *reserve);

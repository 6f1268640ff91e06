/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/*
 * Inside this room: trees with files that have lost their names are restored one at a time (image/remap.h
 * says why). A tree waits for its turn before it is noted as begun: whoever dies while it waits has not lost
 * it.
 */

#include "restore/restore.h"

/* What a tree has of the turns. Empty: none. */
typedef struct Turn {
        RestoreTurns *turns;
} Turn;

/* Waits until nobody has the turn who could be in the way. It is not to be moved until turn_end(). */
void turn_take(RestoreTurns *turns, Turn *turn);
void turn_end(Turn *turn);

/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/*
 * Inside this room: restores that would make files of the same names take turns (image/remap.h). Two go at
 * once if they have no directory in common. One that makes or removes directories goes alone.
 *
 * A tree waits for its turn before it is noted as begun: whoever dies while it waits has not lost it.
 */

#include "image/remap.h"
#include "restore/restore.h"

/* What a tree has of the turns. Empty: none. */
typedef struct Turn {
        RestoreTurns *turns;
        RemapPlaces places;
        bool is_taken;
        struct Turn *next;
} Turn;

/* Waits until nobody has a turn who could be in the way. It is not to be moved until turn_end(). */
void turn_take(RestoreTurns *turns, const Remaps *remaps, Turn *turn);
void turn_end(Turn *turn);

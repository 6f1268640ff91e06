/* SPDX-License-Identifier: GPL-2.0-or-later */

/*
 * Where a restore makes its files can be told only while nobody makes or removes directories. So a turn is
 * entered in the list first, which keeps those out that do, and looks for its directories then. Those wait
 * until the list is empty, and stand in it alone. Nobody waits in the list for somebody who does not have
 * his turn, so it always moves on.
 */

#include "restore/turn.h"

#include "base/lock.h"

static void enter(RestoreTurns *turns, Turn *turn) {
        turn->next = turns->first;
        turns->first = turn;
}

static void leave(RestoreTurns *turns, const Turn *turn) {
        struct Turn **p = &turns->first;

        while (*p != turn)
                p = &(*p)->next;
        *p = turn->next;
        pthread_cond_broadcast(&turns->change);
}

static bool somebody_is_alone(const RestoreTurns *turns) {
        return turns->first && turns->first->places.anywhere;
}

static bool somebody_is_in_the_way(const RestoreTurns *turns, const Turn *turn) {
        for (const Turn *t = turns->first; t; t = t->next)
                if (t != turn && t->is_taken && remap_places_meet(&t->places, &turn->places))
                        return true;
        return false;
}

/* Files may be slow to look at, on a network: nobody else waits for that. */
static void look(RestoreTurns *turns, const Remaps *remaps, Turn *turn) {
        RemapPlaces places;

        pthread_mutex_unlock(&turns->lock);
        remaps_places(remaps, &places);
        pthread_mutex_lock(&turns->lock);
        turn->places = places;
}

void turn_take(RestoreTurns *turns, const Remaps *remaps, Turn *turn) {
        _locked_ pthread_mutex_t *locked = lock(&turns->lock);

        while (somebody_is_alone(turns))
                pthread_cond_wait(&turns->change, &turns->lock);
        enter(turns, turn);
        look(turns, remaps, turn);
        if (turn->places.anywhere) {
                leave(turns, turn);
                while (turns->first)
                        pthread_cond_wait(&turns->change, &turns->lock);
                enter(turns, turn);
        }
        while (somebody_is_in_the_way(turns, turn))
                pthread_cond_wait(&turns->change, &turns->lock);
        turn->is_taken = true;
        turn->turns = turns;
}

void turn_end(Turn *turn) {
        RestoreTurns *turns = turn->turns;

        if (!turns)
                return;
        pthread_mutex_lock(&turns->lock);
        leave(turns, turn);
        pthread_mutex_unlock(&turns->lock);
        remap_places_done(&turn->places);
        *turn = (Turn){0};
}

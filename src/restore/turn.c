/* SPDX-License-Identifier: GPL-2.0-or-later */

#include "restore/turn.h"

#include "base/lock.h"

void turn_take(RestoreTurns *turns, Turn *turn) {
        _locked_ pthread_mutex_t *locked = lock(&turns->lock);

        while (turns->taken)
                pthread_cond_wait(&turns->change, &turns->lock);
        turns->taken = turn;
        turn->turns = turns;
}

void turn_end(Turn *turn) {
        RestoreTurns *turns = TAKE(turn->turns);

        if (!turns)
                return;
        pthread_mutex_lock(&turns->lock);
        turns->taken = NULL;
        pthread_cond_broadcast(&turns->change);
        pthread_mutex_unlock(&turns->lock);
}

/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/* The steps of a save or a restore, appended to a ticket from several threads. */

#include "model/model.h"

#include <pthread.h>

typedef struct Timeline {
        pthread_mutex_t lock; /* PTHREAD_MUTEX_INITIALIZER */
        Ticket *ticket;
        bool after_jump;
} Timeline;

typedef struct StepClock {
        uint64_t realtime, monotonic;
} StepClock;

StepClock step_begin(void);

/* Appends the step that began at `clock` and ends now. tree may be NULL. A step that finds no memory is left
 * out: the timeline is for people. */
void step_end(Timeline *timeline, const char *name, const char *tree, StepClock clock);

/* After the jump: what lay between the last step in the old kernel and this moment, told apart by the new
 * kernel's own start. Nothing if both are the same boot. */
void timeline_note_jump(Timeline *timeline);

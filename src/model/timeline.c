/* SPDX-License-Identifier: GPL-2.0-or-later */

#include "model/timeline.h"

#include "base/clock.h"

#include <string.h>

StepClock step_begin(void) {
        return (StepClock){.realtime = now_realtime(), .monotonic = now_monotonic()};
}

uint64_t step_end(Timeline *timeline, const char *name, const char *tree, StepClock clock) {
        _cleanup_(step_freep) Step *step = model_new(Step, step__init);
        uint64_t duration = now_monotonic() - clock.monotonic;

        if (!step)
                return duration;
        step->name = strdup(name);
        step->tree = tree ? strdup(tree) : NULL;
        step->realtime = clock.realtime;
        step->monotonic = clock.monotonic;
        step->duration = duration;
        step->after_jump = timeline->after_jump;
        if (!step->name || (tree && !step->tree))
                return duration;
        pthread_mutex_lock(&timeline->lock);
        if (model_append(timeline->ticket->steps, timeline->ticket->n_steps, step) == 0)
                step = NULL;
        pthread_mutex_unlock(&timeline->lock);
        return duration;
}

/* SPDX-License-Identifier: GPL-2.0-or-later */

#include "model/timeline.h"

#include "base/clock.h"

#include <string.h>

StepClock step_begin(void) {
        return (StepClock){.realtime = now_realtime(), .monotonic = now_monotonic()};
}

void step_end(Timeline *timeline, const char *name, const char *tree, StepClock clock) {
        _cleanup_(step_freep) Step *step = model_new(Step, step__init);
        uint64_t duration = now_monotonic() - clock.monotonic;

        if (!step)
                return;
        step->name = strdup(name);
        step->tree = tree ? strdup(tree) : NULL;
        step->realtime = clock.realtime;
        step->monotonic = clock.monotonic;
        step->duration = duration;
        step->after_jump = timeline->after_jump;
        if (!step->name || (tree && !step->tree))
                return;
        pthread_mutex_lock(&timeline->lock);
        if (model_append(timeline->ticket->steps, timeline->ticket->n_steps, step) == 0)
                step = NULL;
        pthread_mutex_unlock(&timeline->lock);
}

void timeline_note_jump(Timeline *timeline) {
        const Ticket *t = timeline->ticket;
        uint64_t end = t->sealed_at, start = now_realtime() - now_monotonic();
        Step *step;

        for (size_t i = 0; i < t->n_steps; i++)
                if (t->steps[i]->realtime + t->steps[i]->duration > end)
                        end = t->steps[i]->realtime + t->steps[i]->duration;
        if (strcmp(t->old_boot, t->new_boot ?: "") == 0 || end > start)
                return;
        step_end(timeline, "jump.shutdown", NULL, (StepClock){.realtime = end, .monotonic = 0});
        step = t->steps[t->n_steps - 1];
        step->duration = start - end;
        step->after_jump = false;
        step_end(timeline, "boot.early", NULL, (StepClock){.realtime = start, .monotonic = 0});
}

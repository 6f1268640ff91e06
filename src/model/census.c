/* SPDX-License-Identifier: GPL-2.0-or-later */

#include "model/census.h"

#include <stdlib.h>

void thing_done(Thing *thing) {
        free(thing->what);
        free(thing->user);
        free(thing->why);
        free(thing->target);
        *thing = (Thing){0};
}

void census_done(Census *c) {
        for (size_t i = 0; i < c->n; i++)
                thing_done(c->things + i);
        for (size_t i = 0; i < c->n_anew; i++)
                free(c->anew[i]);
        free(c->things);
        free(c->anew);
        *c = (Census){0};
}

size_t census_ends(const Census *c, bool forced) {
        size_t n = 0;

        for (size_t i = 0; i < c->n; i++) {
                const Thing *t = c->things + i;

                n += t->fate != FATE_CARRIED && !(forced && t->refused && t->n_kept == t->n_processes);
        }
        return n;
}

const char *fate_text(Fate fate) {
        static const char *const texts[] = {"lost", "with losses", "carried"};

        return texts[fate];
}

const char *thing_kind_text(ThingKind kind) {
        static const char *const texts[THING_KINDS_] = {"session",   "terminals", "unit", "container",
                                                        "user-unit", "job",       "stray"};

        return texts[kind];
}

/* SPDX-License-Identifier: GPL-2.0-or-later */

#include "model/census.h"

#include <stdlib.h>
#include <string.h>

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
        free(c->unknown);
        *c = (Census){0};
}

static bool ends(const Thing *t, bool forced) {
        return t->fate != FATE_CARRIED && !(forced && t->refused && t->n_kept == t->n_processes);
}

size_t census_ends(const Census *c, bool forced) {
        size_t n = c->unknown ? 1 : 0;

        for (size_t i = 0; i < c->n; i++)
                n += ends(c->things + i, forced);
        return n;
}

/* A service that was started again is the same; jobs are told apart by their process alone. */
static bool is_same(const Thing *a, const Thing *b) {
        return a->kind == b->kind && a->uid == b->uid && strcmp(a->what, b->what) == 0 &&
               (a->kind != THING_JOB || a->pid == b->pid);
}

static bool was_shown(const Thing *t, const Census *shown) {
        for (size_t i = 0; i < shown->n; i++) {
                const Thing *s = shown->things + i;

                if (is_same(s, t))
                        return s->fate == FATE_LOST ||
                               (s->fate == t->fate && strcmp(s->why ?: "", t->why ?: "") == 0);
        }
        return false;
}

bool census_within(const Census *c, const Census *shown, bool forced) {
        if (shown->unknown)
                return true;
        for (size_t i = 0; i < c->n; i++)
                if (ends(c->things + i, forced) && !was_shown(c->things + i, shown))
                        return false;
        return !c->unknown;
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

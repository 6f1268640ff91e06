/* SPDX-License-Identifier: GPL-2.0-or-later */

/*
 * The way is sought from the unit upwards, since the default target has hundreds of units below it and a
 * service has one or two above. sysinit.target is required by nearly all services: targets are asked first,
 * which finds the way in a few steps. No unit is asked twice.
 */

#include "census/boot.h"

#include "base/cleanup.h"
#include "base/err.h"
#include "base/text.h"

#include <string.h>

/* A machine has some hundreds; each is a question to PID 1. */
#define UNITS_MAX 4096u

typedef struct Known {
        char *name;
        UnitFacts facts;
        bool asked;
        int way;     /* 1: it leads to the default target, 0: it does not, -1: nobody knows */
        size_t walk; /* the last one that came by */
} Known;

struct Boot {
        const CensusWorld *world;
        Known *units;
        size_t n, walks;
        char *goal;
};

static int known_find(Boot *b, const char *name, size_t *ret) {
        Known k = {.way = -1};
        int r;

        for (*ret = 0; *ret < b->n; (*ret)++)
                if (strcmp(b->units[*ret].name, name) == 0)
                        return 0;
        if (b->n >= UNITS_MAX)
                return err_say(-E2BIG, "more than %u units are above it", UNITS_MAX);
        k.name = strdup(name);
        r = k.name ? model_append(b->units, b->n, k) : -ENOMEM;
        if (r < 0)
                free(k.name);
        return r;
}

static int known_ask(Boot *b, size_t i) {
        Known *k = b->units + i;
        int r;

        if (k->asked)
                return 0;
        if (!unit_is_safe(k->name))
                return err_say(-EINVAL, "it is no name of a unit");
        r = b->world->ask(b->world->userdata, k->name, &k->facts);
        k->asked = r >= 0;
        return r < 0 ? err_pass(r) : 0;
}

int boot_new(const CensusWorld *world, Boot **ret) {
        Boot *b = calloc(1, sizeof *b);

        if (!b)
                return -ENOMEM;
        b->world = world;
        *ret = b;
        return 0;
}

Boot *boot_free(Boot *b) {
        for (size_t i = 0; b && i < b->n; i++) {
                free(b->units[i].name);
                unit_facts_done(&b->units[i].facts);
        }
        if (b) {
                free(b->units);
                free(b->goal);
        }
        free(b);
        return NULL;
}

int boot_facts(Boot *b, const char *unit, const UnitFacts **ret) {
        size_t i;
        int r = known_find(b, unit, &i);

        if (r >= 0)
                r = known_ask(b, i);
        if (r < 0)
                return err_pass(r);
        *ret = &b->units[i].facts;
        return 0;
}

static int find_goal(Boot *b) {
        const UnitFacts *facts;
        int r;

        if (b->goal)
                return 0;
        r = boot_facts(b, "default.target", &facts);
        if (r < 0)
                return err_pass(r);
        b->goal = strdup(facts->id);
        return b->goal ? 0 : -ENOMEM;
}

/* "ssh@3-10.0.2.15:22-10.0.2.2:40112.service" by "ssh.socket": the connection will be gone. */
static bool is_of_connection(const char *unit, const char *starter) {
        size_t n = strcspn(unit, "@");

        return unit[n] == '@' && ends_with(starter, ".socket") && strlen(starter) == n + strlen(".socket") &&
               memcmp(unit, starter, n) == 0;
}

/* Units of one walk that wait to be asked: places in the list, and targets first. */
typedef struct Queue {
        size_t *targets, *others;
        size_t n_targets, n_others, at_target, at_other;
} Queue;

static void queue_done(Queue *q) {
        free(q->targets);
        free(q->others);
}

static int queue_add(Boot *b, Queue *q, const char *name) {
        size_t i;
        int r = known_find(b, name, &i);

        if (r < 0 || b->units[i].walk == b->walks)
                return r;
        b->units[i].walk = b->walks;
        return ends_with(name, ".target") ? model_append(q->targets, q->n_targets, i)
                                          : model_append(q->others, q->n_others, i);
}

static bool queue_next(Queue *q, size_t *ret) {
        if (q->at_target < q->n_targets)
                *ret = q->targets[q->at_target++];
        else if (q->at_other < q->n_others)
                *ret = q->others[q->at_other++];
        else
                return false;
        return true;
}

static bool is_given(const char *name) {
        return ends_with(name, ".device") || starts_with(name, "getty@") || starts_with(name, "autovt@");
}

/* 1: the way ends here. 0: it goes on to its starters, or nowhere. */
static int step(Boot *b, Queue *q, size_t i) {
        const UnitFacts *facts;
        int r;

        if (b->units[i].way >= 0 || is_given(b->units[i].name))
                return b->units[i].way != 0;
        r = known_ask(b, i);
        if (r < 0)
                return err_pass(r);
        facts = &b->units[i].facts;
        if (strcmp(facts->id, b->goal) == 0)
                return 1;
        if (!facts->loaded || facts->passes)
                return 0;
        if (facts->on_demand)
                return 1;
        for (size_t k = 0; r >= 0 && facts->starters && facts->starters[k]; k++) {
                char *starter = facts->starters[k];

                if (is_of_connection(facts->id, starter))
                        continue;
                r = queue_add(b, q, starter);
                facts = &b->units[i].facts; /* the list may have moved */
        }
        return r < 0 ? err_pass(r) : 0;
}

/* Where no way is, none of those that were asked has one. */
static void note_walk(Boot *b, const Queue *q) {
        for (size_t i = 0; i < q->n_targets; i++)
                b->units[q->targets[i]].way = 0;
        for (size_t i = 0; i < q->n_others; i++)
                b->units[q->others[i]].way = 0;
}

int boot_starts(Boot *b, const char *unit) {
        _cleanup_(queue_done) Queue q = {0};
        size_t first, i;
        int r;

        r = find_goal(b);
        if (r >= 0)
                r = known_find(b, unit, &first);
        b->walks++;
        if (r >= 0)
                r = queue_add(b, &q, unit);
        if (r < 0)
                return err_pass(r);
        while (r == 0 && queue_next(&q, &i))
                r = step(b, &q, i);
        if (r == 0)
                note_walk(b, &q);
        if (r > 0)
                b->units[first].way = 1;
        return r < 0 ? err_pass(r) : r;
}

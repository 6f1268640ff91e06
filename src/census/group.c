/* SPDX-License-Identifier: GPL-2.0-or-later */

/*
 * One user can have tens of thousands of processes, each in a cgroup of its own and each the child of the
 * one before. So what goes down from parent to child (which tree it belongs to, whose server has started it)
 * is found in one pass over all, and only so many places are told apart.
 */

#include "census/group.h"

#include "base/cleanup.h"
#include "base/text.h"
#include "model/model.h"

#include <string.h>

#define GROUPS_MAX 1000u /* more rows than anybody reads */

#define NONE    SIZE_MAX       /* no ancestor has a mark */
#define UNKNOWN (SIZE_MAX - 1) /* its parent's, which is to be found */

typedef struct Work {
        const CensusWorld *world;
        const Snapshot *s;
        Place *places;  /* of each process */
        size_t *trees;  /* which candidate it belongs to, or NONE */
        size_t *server; /* which process has started it as a server does, or NONE */
        size_t *groups; /* NONE: it is nobody's to lose */
        Groups found;
} Work;

static void work_done(Work *w) {
        free(w->places);
        free(w->trees);
        free(w->server);
        free(w->groups);
        census_groups_done(&w->found);
}

void census_groups_done(Groups *groups) {
        free(groups->items);
        *groups = (Groups){0};
}

static size_t parent_of(const Snapshot *s, size_t i) {
        const SnapProcess *parent =
                        s->processes[i].ppid > 0 ? snapshot_process(s, s->processes[i].ppid) : NULL;

        return parent ? (size_t)(parent - s->processes) : NONE;
}

/* Each process that has no mark gets that of its nearest ancestor. */
static void inherit(const Snapshot *s, size_t *marks) {
        for (size_t i = 0; i < s->n_processes; i++) {
                size_t mark = NONE, at = i, steps = 0;

                while (at != NONE && marks[at] == UNKNOWN && steps++ <= s->n_processes)
                        at = parent_of(s, at);
                if (at != NONE && marks[at] != UNKNOWN)
                        mark = marks[at];
                for (at = i; at != NONE && marks[at] == UNKNOWN; at = parent_of(s, at))
                        marks[at] = mark;
        }
}

static int marks_new(const Snapshot *s, size_t **ret) {
        *ret = calloc(s->n_processes + 1, sizeof **ret);
        for (size_t i = 0; *ret && i < s->n_processes; i++)
                (*ret)[i] = UNKNOWN;
        return *ret ? 0 : -ENOMEM;
}

/* By their roots: what these have started since they were looked at is carried, too. */
static int find_trees(Work *w) {
        const Candidates *kept = w->world->kept;
        int r = marks_new(w->s, &w->trees);

        for (size_t i = 0; r >= 0 && i < kept->n; i++) {
                const Tree *tree = kept->items[i].tree;
                const SnapProcess *p = snapshot_process(w->s, (pid_t)tree->root_pid);

                if (p && p->start + 1 - tree->root_start <= 2) /* off by one: model/snapshot.h */
                        w->trees[p - w->s->processes] = i;
        }
        if (r >= 0)
                inherit(w->s, w->trees);
        return r;
}

static bool same_unit(const Work *w, size_t a, size_t b) {
        return b != NONE && w->places[b].kind == THING_UNIT && !w->places[b].is_manager &&
               strcmp(w->places[a].name, w->places[b].name) == 0;
}

/* A child of the service's first process. Of an sshd whose listener was started anew, any but the
 * listener. */
static bool is_spawned(const Work *w, size_t i) {
        const SnapProcess *p = w->s->processes + i;
        size_t parent = parent_of(w->s, i);

        if (!place_spawns(w->places + i))
                return false;
        if (!same_unit(w, i, parent))
                return place_is_sshd(w->places + i) && starts_with(p->title, "sshd: ") &&
                       !strstr(p->title, "[listener]");
        return !same_unit(w, parent, parent_of(w->s, parent));
}

static int find_servers(Work *w) {
        int r = marks_new(w->s, &w->server);

        for (size_t i = 0; r >= 0 && i < w->s->n_processes; i++) {
                const SnapProcess *p = w->s->processes + i;

                if (w->places[i].kind != THING_CONTAINER && !place_is_none(p) &&
                    (place_terminals(p) || is_spawned(w, i)))
                        w->server[i] = i;
        }
        if (r >= 0)
                inherit(w->s, w->server);
        return r;
}

static Place place_of_server(const Work *w, size_t server) {
        const SnapProcess *p = w->s->processes + server;
        const char *terminals = place_terminals(p);
        Place place = w->places[server];

        if (terminals) {
                place = (Place){.kind = THING_TERMINALS, .uid = p->uid, .has_uid = true};
                strcpy(place.name, terminals);
        } else
                place.kind = place_is_sshd(&place) ? THING_SESSION : THING_JOB;
        return place;
}

static int group_find(Work *w, size_t i, size_t *ret) {
        size_t server = w->places[i].kind == THING_CONTAINER ? NONE : w->server[i];
        Group g = {.place = server == NONE ? w->places[i] : place_of_server(w, server),
                   .server = server == NONE ? 0 : w->s->processes[server].pid};

        for (*ret = 0; *ret < w->found.n; (*ret)++) {
                const Group *other = w->found.items + *ret;

                if (other->rest ||
                    (other->place.kind == g.place.kind && other->server == g.server &&
                     other->place.is_manager == g.place.is_manager && other->place.uid == g.place.uid &&
                     strcmp(other->place.name, g.place.name) == 0))
                        return 0;
        }
        if (w->found.n + 1 == GROUPS_MAX)
                g = (Group){.place = {.kind = THING_STRAY}, .rest = true};
        return model_append(w->found.items, w->found.n, g);
}

static void count_tree(Group *g, const Candidates *kept, size_t tree) {
        const Candidate *c = kept->items + tree;

        if (c->verdict.level == VERDICT_REFUSED) {
                g->n_refused++;
                g->refused = g->refused ?: c;
                return;
        }
        g->n_carried++;
        if (c->verdict.level == VERDICT_DEGRADED) {
                g->n_lossy++;
                g->lossy = g->lossy ?: c;
        }
}

static void count_process(Work *w, size_t i) {
        const SnapProcess *p = w->s->processes + i;
        Group *g = w->found.items + w->groups[i];
        size_t parent = parent_of(w->s, i);

        g->n_processes++;
        if (p->uid != 0 && g->user == 0)
                g->user = p->uid;
        if (w->trees[i] != NONE)
                count_tree(g, w->world->kept, w->trees[i]);
        if (parent != NONE && w->groups[parent] == w->groups[i])
                return;
        g->n_roots++;
        if (!g->first || p->start < g->first->start)
                g->first = p;
}

static bool is_kept(const Work *w, size_t group) {
        for (size_t i = 0; i < w->s->n_processes; i++)
                if (w->groups[i] == group && w->trees[i] != NONE)
                        return true;
        return false;
}

/* Its ancestors and its children, too, as far as they are in its service or job; unless something of that is
 * kept: it knows. */
static int leave_out_asker(Work *w) {
        const SnapProcess *p = w->world->asker > 0 ? snapshot_process(w->s, w->world->asker) : NULL;
        size_t asker = p ? (size_t)(p - w->s->processes) : NONE, steps = 0;
        size_t group = p ? w->groups[asker] : NONE;
        _cleanup_(freep) size_t *marks = NULL;
        ThingKind kind;
        int r;

        if (group >= w->found.n) /* NONE */
                return 0;
        kind = w->found.items[group].place.kind;
        if ((kind != THING_UNIT && kind != THING_JOB) || is_kept(w, group))
                return 0;
        r = marks_new(w->s, &marks);
        if (r < 0)
                return r;
        marks[asker] = asker;
        inherit(w->s, marks);
        for (size_t at = asker; at != NONE && steps++ <= w->s->n_processes; at = parent_of(w->s, at))
                marks[at] = asker;
        for (size_t i = 0; i < w->s->n_processes; i++)
                if (marks[i] == asker && w->groups[i] == group)
                        w->groups[i] = NONE;
        return 0;
}

static int group_all(Work *w) {
        int r = 0;

        w->groups = calloc(w->s->n_processes + 1, sizeof *w->groups);
        if (!w->groups)
                return -ENOMEM;
        for (size_t i = 0; r >= 0 && i < w->s->n_processes; i++) {
                w->groups[i] = NONE;
                if (!place_is_none(w->s->processes + i))
                        r = group_find(w, i, w->groups + i);
        }
        if (r >= 0)
                r = leave_out_asker(w);
        for (size_t i = 0; r >= 0 && i < w->s->n_processes; i++)
                if (w->groups[i] != NONE)
                        count_process(w, i);
        return r;
}

int census_groups(const CensusWorld *world, Groups *ret) {
        _cleanup_(work_done) Work w = {.world = world, .s = world->all};
        int r;

        w.places = calloc(w.s->n_processes + 1, sizeof *w.places);
        if (!w.places)
                return -ENOMEM;
        for (size_t i = 0; i < w.s->n_processes; i++)
                place_of(w.s->processes + i, w.places + i);
        r = find_trees(&w);
        if (r >= 0)
                r = find_servers(&w);
        if (r >= 0)
                r = group_all(&w);
        if (r < 0)
                return r;
        *ret = TAKE(w.found);
        return 0;
}

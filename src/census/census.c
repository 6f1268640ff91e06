/* SPDX-License-Identifier: GPL-2.0-or-later */

/*
 * A row says what is so and not what is likely. What is not kept is lost, even if a look in depth would
 * refuse to keep it: `carryover keep` says that. What PID 1 does not tell of a unit counts as lost, with
 * that reason.
 */

#include "census/census.h"

#include "base/cleanup.h"
#include "base/err.h"
#include "base/text.h"
#include "census/boot.h"
#include "census/group.h"
#include "systemd/login.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

static const Session *session_find(const CensusWorld *w, const char *id) {
        for (size_t i = 0; i < w->n_sessions; i++)
                if (strcmp(w->sessions[i]->id, id) == 0)
                        return w->sessions[i];
        return NULL;
}

/* What shows who may log in is no login. */
static bool is_greeter(const Session *session) {
        char class[32];

        return session && login_field(session, "CLASS", class, sizeof class) &&
               (strcmp(class, "greeter") == 0 || strcmp(class, "lock-screen") == 0);
}

/* What it is called. */

static char *session_text(const char *id, const Session *session) {
        char how[64], state[32];

        if (!session)
                return text_format("session %s (unknown to logind)", id);
        if (login_field(session, "STATE", state, sizeof state) && strcmp(state, "closing") == 0)
                return text_format("session %s (logged out)", id);
        if (login_is_ssh(session))
                return text_format("session %s (ssh)", id);
        if (session->tty && session->tty[0])
                return text_format("session %s (%s)", id, session->tty);
        return text_format("session %s (%s)", id,
                           login_field(session, "SERVICE", how, sizeof how) ? how : "login");
}

static char *container_text(const CensusWorld *w, const Group *g) {
        char name[CONTAINER_NAME_MAX];

        return text_format("container %s", container_named(w->all, g->first, name) ? name : g->place.name);
}

static char *what_text(const CensusWorld *w, const Group *g, const Session *session) {
        const char *name = g->place.name;

        if (g->rest)
                return text_format("%zu other processes", g->n_processes);
        switch (g->place.kind) {
        case THING_SESSION:
                return g->server ? text_format("ssh login, process %d", (int)g->server)
                                 : session_text(name, session);
        case THING_TERMINALS:
                return text_format("%s, process %d", name, (int)g->server);
        case THING_JOB:
                return text_format("job of %s", name);
        case THING_CONTAINER:
                return container_text(w, g);
        case THING_USER_UNIT:
                return text_format("user unit %s", name);
        case THING_STRAY:
                return text_format("cgroup %s", name);
        default:
                return strdup(name);
        }
}

/* What keeps it. */

static char *pid_target(const Group *g) {
        return text_format("pid:%d", (int)(g->server ?: g->first->pid));
}

static char *target_text(const Group *g, bool is_unit) {
        const char *name = g->place.name;
        size_t n = strlen(name), e = strlen(".service");

        if (g->place.kind == THING_SESSION && !g->server)
                return text_format("session:%s", name);
        if (!is_unit || !(ends_with(name, ".service") || ends_with(name, ".scope")))
                return pid_target(g);
        if (ends_with(name, ".service") && !memchr(name, '.', n - e))
                n -= e;
        return text_format("unit:%.*s", (int)n, name);
}

static char *how_text(const char *target, size_t n_trees) {
        if (n_trees > 1 && starts_with(target, "pid:"))
                return text_format("not kept: carryover keep %s and %zu more trees", target, n_trees - 1);
        return text_format("not kept: carryover keep %s", target);
}

/* What becomes of it. */

static char *note_text(const Candidate *c, VerdictLevel level) {
        size_t more = 0;
        const VerdictNote *first = NULL;

        for (size_t i = 0; i < c->verdict.n_notes; i++)
                if (c->verdict.notes[i].level == level) {
                        first = first ?: c->verdict.notes + i;
                        more++;
                }
        if (!first)
                return strdup("refused");
        if (more > 1)
                return text_format("%s (and %zu more: carryover check %s)", first->text, more - 1,
                                   c->tree->target);
        return strdup(first->text);
}

static char *machine_text(const Candidates *kept) {
        const VerdictNote *note = verdict_refusal(&kept->machine);

        return text_format("kept, but nothing can be saved: %s", note ? note->text : "refused");
}

/* Of one of which something is kept. */
static int judge_kept(const CensusWorld *w, const Group *g, Thing *t) {
        size_t kept = g->n_carried + g->n_refused;

        t->n_kept = kept;
        t->refused = g->n_refused > 0;
        t->fate = FATE_LOSSES;
        if (w->kept->machine.level == VERDICT_REFUSED)
                t->why = machine_text(w->kept);
        else if (g->n_refused > 0)
                t->why = note_text(g->refused, VERDICT_REFUSED);
        else if (kept < g->n_processes)
                t->why = text_format("%zu of %zu processes are not kept", g->n_processes - kept,
                                     g->n_processes);
        else if (g->n_lossy > 0)
                t->why = note_text(g->lossy, VERDICT_DEGRADED);
        else {
                t->fate = FATE_CARRIED;
                return 0;
        }
        if (w->kept->machine.level == VERDICT_REFUSED || g->n_carried == 0)
                t->fate = FATE_LOST;
        return t->why ? 0 : -ENOMEM;
}

/* Why the next boot does not start it. 1: it does, there is nothing to say. */
static int judge_unit(Boot *boot, const Group *g, const char **ret, bool *ret_known) {
        const UnitFacts *facts = NULL;
        int r = boot_facts(boot, g->place.name, &facts);

        *ret_known = false;
        if (r < 0)
                return r == -ENOMEM ? r : err_pass(r);
        *ret_known = facts->loaded && facts->active;
        if (!facts->loaded)
                *ret = "the unit does not exist any more";
        else if (!facts->active)
                *ret = "left over: the unit has ended";
        else if (facts->working)
                *ret = "at work now";
        else if (facts->transient)
                *ret = "transient";
        else {
                *ret = facts->passes ? "not enabled beyond this boot" : "not enabled";
                return boot_starts(boot, g->place.name);
        }
        return 0;
}

static int judge_lost_unit(Boot *boot, const Group *g, Thing *t) {
        _cleanup_(freep) char *how = NULL, *cannot = NULL;
        const char *why = NULL;
        bool known = false;
        int r = judge_unit(boot, g, &why, &known);

        if (r == -ENOMEM || r > 0)
                return r;
        if (r < 0) {
                known = true;
                cannot = text_format("cannot determine whether the next boot starts it (%s)", err_text(r));
                why = cannot;
        }
        t->target = target_text(g, known);
        how = t->target ? how_text(t->target, g->n_roots) : NULL;
        t->why = how && why ? text_format("%s; %s", why, how) : NULL;
        return t->why ? 0 : -ENOMEM;
}

static int judge_lost(Boot *boot, const Group *g, Thing *t) {
        t->fate = FATE_LOST;
        if (g->place.kind == THING_UNIT)
                return judge_lost_unit(boot, g, t);
        if (g->place.kind == THING_CONTAINER) {
                t->why = strdup("containers are not carried; their manager may start them again");
                return t->why ? 0 : -ENOMEM;
        }
        if (g->rest) {
                t->why = strdup("too many to be told apart");
                return t->why ? 0 : -ENOMEM;
        }
        t->target = target_text(g, false);
        t->why = t->target ? how_text(t->target, g->n_roots) : NULL;
        return t->why ? 0 : -ENOMEM;
}

static uid_t user_of(const Group *g) {
        if (g->place.has_uid)
                return g->place.uid;
        return g->place.kind == THING_UNIT ? g->first->uid : g->user;
}

static int add_anew(Census *c, const char *name) {
        char *copy = strdup(name);
        int r = copy ? model_append(c->anew, c->n_anew, copy) : -ENOMEM;

        if (r < 0)
                free(copy);
        return r;
}

static int thing_make(const CensusWorld *w, Boot *boot, const Group *g, const Session *session, Thing *t) {
        *t = (Thing){.kind = g->place.kind,
                     .uid = user_of(g),
                     .pid = g->server ?: g->first->pid,
                     .n_processes = g->n_processes,
                     .n_roots = g->n_roots};
        t->what = what_text(w, g, session);
        if (session && session->user[0])
                t->user = strdup(session->user);
        if (!t->what || (session && session->user[0] && !t->user))
                return -ENOMEM;
        if (g->n_carried + g->n_refused > 0)
                return judge_kept(w, g, t);
        return judge_lost(boot, g, t);
}

static int add_group(const CensusWorld *w, Boot *boot, const Group *g, Census *c) {
        const Session *session =
                        g->place.kind == THING_SESSION && !g->server ? session_find(w, g->place.name) : NULL;
        Thing t;
        int r;

        if (!g->first) /* only who asks; or each is the other's parent: they were never there at one time */
                return 0;
        if (g->place.is_manager)
                return add_anew(c, g->place.name);
        r = thing_make(w, boot, g, session, &t);
        if (r >= 0 && (r > 0 || (is_greeter(session) && t.n_kept == 0))) {
                r = add_anew(c, t.what);
                thing_done(&t);
                return r;
        }
        if (r >= 0)
                r = model_append(c->things, c->n, t);
        if (r < 0) {
                thing_done(&t);
                return r;
        }
        c->counts[t.fate]++;
        return 0;
}

static int by_importance(const void *a, const void *b) {
        const Thing *x = a, *y = b;

        if (x->fate != y->fate)
                return x->fate < y->fate ? -1 : 1;
        if (x->kind != y->kind)
                return x->kind < y->kind ? -1 : 1;
        return strverscmp(x->what, y->what) ?: (x->pid > y->pid) - (x->pid < y->pid);
}

static int by_name(const void *a, const void *b) {
        return strverscmp(*(char *const *)a, *(char *const *)b);
}

int census_take(const CensusWorld *w, Census *ret) {
        _cleanup_(census_groups_done) Groups groups = {0};
        _cleanup_(boot_freep) Boot *boot = NULL;
        _cleanup_(census_done) Census c = {0};
        int r;

        r = boot_new(w, &boot);
        if (r >= 0)
                r = census_groups(w, &groups);
        for (size_t i = 0; r >= 0 && i < groups.n; i++)
                r = add_group(w, boot, groups.items + i, &c);
        if (r < 0)
                return err_pass(r);
        if (c.n > 0)
                qsort(c.things, c.n, sizeof *c.things, by_importance);
        if (c.n_anew > 0)
                qsort(c.anew, c.n_anew, sizeof *c.anew, by_name);
        *ret = TAKE(c);
        return 0;
}

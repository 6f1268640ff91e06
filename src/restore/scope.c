/* SPDX-License-Identifier: GPL-2.0-or-later */

/* A scope needs a live process from its first moment, and CRIU starts one at a time per tree: so a child
 * that only waits opens the scope, everything restored joins its cgroup, and the child goes last. */

#include "restore/scope.h"
#include "restore/restore.h"

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/err.h"
#include "base/fd.h"
#include "model/cgroup-path.h"
#include "systemd/cgroup.h"

#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#define SCOPE_NAME_MAX 160

typedef struct Scope {
        const Tree *tree; /* the first of those that share it */
        char unit[SCOPE_NAME_MAX + 16], description[256];
        Limits limits;
        int procs_fd;
        pid_t holder;
        bool wanted, renamed;
} Scope;

typedef struct Making {
        RestoreScopes *scopes;
        Tree *const *trees;
        size_t n;
        RestoreScopeMade made;
        void *userdata;
} Making;

static int holder_start(pid_t *ret) {
        pid_t parent = getpid(), pid = fork();

        if (pid < 0)
                return err_born(-errno, "cannot start the process that holds a scope open");
        if (pid == 0) {
                prctl(PR_SET_NAME, "carryover-hold");
                prctl(PR_SET_PDEATHSIG, SIGKILL);
                (void)close_range(0, ~0u, 0); /* above all no terminal whose number a tree needs */
                if (getppid() == parent)
                        for (;;)
                                pause();
                _exit(1);
        }
        *ret = pid;
        return 0;
}

static void holder_stop(pid_t pid) {
        if (pid <= 0)
                return;
        kill(pid, SIGKILL);
        while (waitpid(pid, NULL, 0) < 0 && errno == EINTR)
                ;
}

static void scope_done(Scope *scope) {
        holder_stop(scope->holder);
        scope->holder = 0;
        scope->procs_fd = fd_close(scope->procs_fd);
}

/* What makes the tree lives in its scope too until it runs: the one that holds it open, CRIU and its
 * helpers. */
#define MAKERS 32u

static Limits limits_of(const Tree *tree) {
        Limits none = LIMITS__INIT, l = tree->limits ? *tree->limits : none;

        if (l.has_tasks_max && l.tasks_max < tree->n_ids + MAKERS)
                l.tasks_max = tree->n_ids + MAKERS;
        return l;
}

/* The scope of its own, or the other one that is made where that is still there. */
static void scope_name(const Tree *tree, char name[static SCOPE_NAME_MAX]) {
        if (tree->session)
                snprintf(name, SCOPE_NAME_MAX, "%s", tree->session->scope);
        else
                snprintf(name, SCOPE_NAME_MAX, "carryover-%s.scope", tree->name);
}

bool scope_is_of(const Tree *tree, const char *cgroup) {
        char name[SCOPE_NAME_MAX], other[SCOPE_NAME_MAX + 16];

        scope_name(tree, name);
        snprintf(other, sizeof other, "carryover-%s", name);
        return cgroup_in_unit(cgroup, name) || (tree->session && cgroup_in_unit(cgroup, other));
}

static bool is_shared(const Tree *a, const Tree *b) {
        char name[SCOPE_NAME_MAX], other[SCOPE_NAME_MAX];

        scope_name(a, name);
        scope_name(b, other);
        return strcmp(name, other) == 0;
}

static int scope_open(Scope *scope) {
        _cleanup_(freep) char *cgroup = NULL;
        int r = cgroup_of(scope->holder, &cgroup);

        if (r < 0)
                return err_pass(r);
        r = scope->procs_fd = cgroup_open_procs(cgroup);
        return r < 0 ? err_pass(r) : r;
}

static void tell(const Making *making, const Scope *scope, int r) {
        for (size_t i = 0; i < making->n; i++)
                if (making->trees[i] && is_shared(making->trees[i], scope->tree))
                        making->made(i, r, making->userdata);
}

static void scope_made(const Making *making, Scope *scope, int r) {
        _cleanup_(freep) char *why = NULL;

        if (r >= 0)
                r = scope_open(scope);
        if (r < 0) {
                why = strdup(err_text(r));
                scope_done(scope);
        }
        /* The old scope is still there when the tree comes back in the kernel that it left. */
        scope->wanted = r < 0 && scope->tree->session && !scope->renamed;
        if (scope->wanted)
                scope->renamed = true;
        else
                tell(making, scope, r < 0 ? err_say(r, "%s", why ?: "out of memory") : r);
}

static const char *slice_of(const Scope *scope) {
        return scope->tree->slice ?: "system.slice";
}

/* Its slice runs, and there is a process to make it around. The slice's own job would wait for units that
 * early boot has not started (user-.slice.d orders it). */
static int scope_prepare(Bus *manager, const RestoreScopes *scopes, Scope *s) {
        char name[SCOPE_NAME_MAX];
        bool runs = false;
        int r = 0;

        scope_name(s->tree, name);
        snprintf(s->unit, sizeof s->unit, "%s%s", s->renamed ? "carryover-" : "", name);
        /* No name of a process: its owner chose it, and it may be no UTF-8, which D-Bus refuses. */
        snprintf(s->description, sizeof s->description, "Carried %s", s->tree->target);
        s->limits = limits_of(s->tree);
        for (const Scope *other = scopes->items; other < s && !runs; other++)
                runs = strcmp(slice_of(other), slice_of(s)) == 0;
        if (!runs)
                r = bus_start_unit_now(manager, slice_of(s));
        return r < 0 ? err_pass(r) : holder_start(&s->holder);
}

typedef struct Round {
        const Making *making;
        Scope **scopes;
} Round;

static void on_end(size_t i, int r, void *userdata) {
        const Round *round = userdata;

        scope_made(round->making, round->scopes[i], r);
}

static void make_wanted(const Making *making, Bus *manager, uint64_t deadline) {
        const RestoreScopes *all = making->scopes;
        _cleanup_(freep) BusScope *asked = calloc(all->n ?: 1, sizeof *asked);
        _cleanup_(freep) Scope **scopes = calloc(all->n ?: 1, sizeof *scopes);
        size_t n = 0;

        for (size_t i = 0; i < all->n; i++) {
                Scope *s = all->items + i;
                int r;

                if (!s->wanted)
                        continue;
                r = asked && scopes ? scope_prepare(manager, all, s) : -ENOMEM;
                if (r < 0) {
                        scope_made(making, s, r);
                        continue;
                }
                asked[n] = (BusScope){.name = s->unit,
                                      .slice = slice_of(s),
                                      .description = s->description,
                                      .limits = &s->limits,
                                      .pid = s->holder};
                scopes[n++] = s;
        }
        bus_start_scopes(manager, asked, n, deadline, on_end, &(Round){.making = making, .scopes = scopes});
}

static bool is_first(Tree *const *trees, size_t i) {
        for (size_t j = 0; j < i; j++)
                if (trees[j] && is_shared(trees[j], trees[i]))
                        return false;
        return true;
}

void restore_scopes(RestoreScopes *scopes, Bus *manager, Tree *const *trees, size_t n, uint64_t timeout_usec,
                    RestoreScopeMade made, void *userdata) {
        Making making = {.scopes = scopes, .trees = trees, .n = n, .made = made, .userdata = userdata};

        scopes->items = calloc(n ?: 1, sizeof *scopes->items);
        if (!scopes->items) {
                for (size_t i = 0; i < n; i++)
                        if (trees[i])
                                made(i, -ENOMEM, userdata);
                return;
        }
        for (size_t i = 0; i < n; i++)
                if (trees[i] && is_first(trees, i))
                        scopes->items[scopes->n++] =
                                        (Scope){.tree = trees[i], .procs_fd = -1, .wanted = true};
        make_wanted(&making, manager, now_monotonic() + timeout_usec);
        make_wanted(&making, manager, now_monotonic() + timeout_usec); /* who wants its other name */
}

void restore_scopes_release(RestoreScopes *scopes) {
        for (size_t i = 0; i < scopes->n; i++)
                scope_done(scopes->items + i);
        free(scopes->items);
        *scopes = (RestoreScopes){0};
}

/* SPDX-License-Identifier: GPL-2.0-or-later */

/* A scope needs a live process from its first moment, and CRIU starts one at a time per tree: so a child
 * that only waits opens the scope, everything restored joins its cgroup, and the child goes last. */

#include "restore/scope.h"
#include "restore/restore.h"

#include "base/cleanup.h"
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
        char name[SCOPE_NAME_MAX];
        char *cgroup;
        int procs_fd;
        pid_t holder;
} Scope;

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
        scope->procs_fd = fd_close(scope->procs_fd);
        free(scope->cgroup);
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

static int scope_start(Bus *manager, const Tree *tree, const char *name, uint64_t deadline, Scope *ret) {
        const char *slice = tree->slice ?: "system.slice";
        const Limits limits = limits_of(tree);
        Scope s = {.procs_fd = -1};
        char description[256];
        int r;

        snprintf(s.name, sizeof s.name, "%s", name);
        /* No name of a process: its owner chose it, and it may be no UTF-8, which D-Bus refuses. */
        snprintf(description, sizeof description, "Carried %s", tree->target);
        /* The slice's own job would wait for units that early boot has not started (user-.slice.d orders
         * it). */
        r = bus_start_unit_now(manager, slice);
        if (r >= 0)
                r = holder_start(&s.holder);
        if (r >= 0)
                r = bus_start_scope(manager, name, slice, description, s.holder, &limits, deadline,
                                    &s.cgroup);
        if (r >= 0)
                r = s.procs_fd = cgroup_open_procs(s.cgroup);
        if (r < 0) {
                scope_done(&s);
                return err_pass(r);
        }
        *ret = s;
        return 0;
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

int restore_scope(RestoreScopes *scopes, Bus *manager, const Tree *tree, uint64_t deadline) {
        char name[SCOPE_NAME_MAX], other[SCOPE_NAME_MAX + 16];
        Scope scope;
        int r;

        scope_name(tree, name);
        for (size_t i = 0; i < scopes->n; i++)
                if (strcmp(scopes->items[i].name, name) == 0)
                        return scopes->items[i].procs_fd;
        r = scope_start(manager, tree, name, deadline, &scope);
        if (r < 0 && tree->session) {
                /* The old scope is still there when the tree comes back in the kernel that it left. */
                snprintf(other, sizeof other, "carryover-%s", name);
                r = scope_start(manager, tree, other, deadline, &scope);
                snprintf(scope.name, sizeof scope.name, "%s", name);
        }
        if (r < 0)
                return err_pass(r);
        r = model_append(scopes->items, scopes->n, scope);
        if (r < 0) {
                scope_done(&scope);
                return r;
        }
        return scope.procs_fd;
}

void restore_scopes_release(RestoreScopes *scopes) {
        for (size_t i = 0; i < scopes->n; i++)
                scope_done(scopes->items + i);
        free(scopes->items);
        *scopes = (RestoreScopes){0};
}

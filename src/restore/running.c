/* SPDX-License-Identifier: GPL-2.0-or-later */

#include "restore/running.h"
#include "restore/scope.h"

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/err.h"
#include "base/fault.h"
#include "base/fd.h"
#include "proc/procfs.h"
#include "restore/living.h"
#include "restore/process.h"
#include "systemd/cgroup.h"

#include <string.h>

static void fill(const Tree *tree, pid_t pid, Outcome *o) {
        uint64_t now = now_realtime();

        o->has_root_pid = true;
        o->root_pid = (uint32_t)pid;
        o->has_gap = tree->has_frozen_at && now > tree->frozen_at;
        o->gap = o->has_gap ? now - tree->frozen_at : 0;
}

/* A copy is noted: other threads look at the state, and it is told to them with the lock held. */
void running_note(int images_fd, const Tree *tree, const char *mode, pid_t pid) {
        ErrRecord kept = err_keep();
        Outcome outcome = *tree->outcome;
        Tree copy = *tree;

        fill(tree, pid, &outcome);
        outcome.state = OUTCOME__STATE__CARRIED;
        outcome.mode = (char *)mode;
        copy.outcome = &outcome;
        if (process_start_time(pid, &copy.root_start) >= 0)
                (void)store_tree_runs(images_fd, &copy);
        (void)fault_point("restore:noted"); /* too late for an error, not for our death */
        err_put_back(&kept);
}

int running_outcome(Tree *tree, const char *mode, pid_t pid) {
        fill(tree, pid, tree->outcome);
        return model_set_string(&tree->outcome->mode, mode);
}

static bool running_still(const Tree *noted) {
        _cleanup_(freep) char *cgroup = NULL;
        pid_t pid = (pid_t)noted->outcome->root_pid;
        uint64_t start;

        return process_start_time(pid, &start) >= 0 && start == noted->root_start &&
               cgroup_of(pid, &cgroup) >= 0 && scope_is_of(noted, cgroup);
}

static bool is_inside(const Tree *noted) {
        return noted->outcome->root_pid != tree_own_root(noted);
}

/*
 * An earlier start of ours had begun with it, and died. Its CRIU goes on by itself until it asks its next
 * question, and then undoes everything; but behind the last one it lets the tree run. So when it has ended,
 * the tree is there as a whole or not at all.
 */
static int adopt_here(const RestoreJob *job, Tree *tree) {
        int r = processes_found(job->config->criu, tree);

        if (r >= 0)
                r = criu_tree_mend((pid_t)tree_own_root(tree));
        if (r < 0)
                return err_pass(r);
        processes_adjust(tree->processes, tree->n_processes);
        return running_outcome(tree, "host", (pid_t)tree_own_root(tree));
}

/* One in a namespace has other numbers there. We may have died before we noted them. */
static pid_t init_of(const RestoreJob *job, int home_fd, const Tree *tree) {
        _cleanup_(tree_freep) Tree *noted = NULL;
        pid_t init;

        if (store_tree_ran(home_fd, tree->name, &noted) == 0)
                return running_still(noted) && is_inside(noted) ? (pid_t)noted->outcome->root_pid : 0;
        return living_inside(tree, now_monotonic() + job->config->criu_usec, &init) >= 0 ? init : 0;
}

int running_adopt(const RestoreJob *job, int home_fd, Tree *tree) {
        _cleanup_(freep) char *why = NULL;
        pid_t init;
        int r;

        r = criu_wait_orphans(job->config->criu, now_monotonic() + job->config->criu_usec);
        init = r >= 0 ? init_of(job, home_fd, tree) : 0;
        if (init > 0) {
                (void)tree_degrade(tree, "pid-namespace", "run `carryover enter` for a shell on the host",
                                   "the tree runs in its own PID namespace");
                return running_outcome(tree, "namespace", init);
        }
        if (r >= 0)
                r = adopt_here(job, tree);
        if (r >= 0)
                return 0;
        why = strdup(err_text(r));
        return err_say(-EALREADY, "an earlier restore started and the tree may have run: %s",
                       why ?: "out of memory");
}

bool restore_had_run(const Store *store, const Tree *tree, Tree **ret) {
        _cleanup_(closep) int home_fd = store_tree_open(store, tree->name);
        _cleanup_(tree_freep) Tree *noted = NULL;

        if (home_fd < 0 || store_tree_ran(home_fd, tree->name, &noted) != 0 || running_still(noted))
                return false;
        *ret = TAKE(noted);
        return true;
}

bool restore_runs(const Store *store, Tree *tree) {
        _cleanup_(closep) int home_fd = store_tree_open(store, tree->name);
        _cleanup_(tree_freep) Tree *noted = NULL;
        pid_t pid;

        if (home_fd < 0 || store_tree_ran(home_fd, tree->name, &noted) != 0 || !running_still(noted))
                return false;
        pid = (pid_t)noted->outcome->root_pid;
        return running_outcome(tree, is_inside(noted) ? "namespace" : "host", pid) >= 0;
}

/* SPDX-License-Identifier: GPL-2.0-or-later */

#include "restore/running.h"

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/err.h"
#include "base/fault.h"
#include "restore/restore.h"
#include "sys/cgroup.h"
#include "sys/procfs.h"

static void fill(const Tree *tree, pid_t pid, Outcome *o) {
        uint64_t now = now_realtime();

        o->state = OUTCOME__STATE__CARRIED;
        o->has_root_pid = true;
        o->root_pid = (uint32_t)pid;
        o->has_gap = tree->has_frozen_at && now > tree->frozen_at;
        o->gap = o->has_gap ? now - tree->frozen_at : 0;
}

/* A copy is noted: other threads look at the outcome, and it is told to them with the lock held. */
void running_note(int images_fd, const Tree *tree, const char *mode, pid_t pid) {
        ErrRecord kept = err_keep();
        Outcome outcome = *tree->outcome;
        Tree copy = *tree;

        fill(tree, pid, &outcome);
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

bool running_still(const Tree *noted) {
        _cleanup_(freep) char *cgroup = NULL;
        pid_t pid = (pid_t)noted->outcome->root_pid;
        uint64_t start;

        return process_start_time(pid, &start) >= 0 && start == noted->root_start &&
               cgroup_of(pid, &cgroup) >= 0 && scope_is_of(noted, cgroup);
}

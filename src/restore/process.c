/* SPDX-License-Identifier: GPL-2.0-or-later */

#include "restore/process.h"

#include "base/cleanup.h"
#include "base/err.h"
#include "base/fd.h"
#include "base/text.h"
#include "criu/criu.h"
#include "proc/procfs.h"
#include "restore/scope.h"
#include "systemd/cgroup.h"

#include <inttypes.h>
#include <limits.h>
#include <linux/ioprio.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

/* The file of a process is there for each of its threads, too. */
static void put_slack(const TimerSlack *slack) {
        char path[48], number[24];

        snprintf(path, sizeof path, "/proc/%" PRIu32 "/timerslack_ns", slack->tid);
        snprintf(number, sizeof number, "%" PRIu64, slack->nsec);
        (void)file_put(path, number);
}

void processes_adjust(Process *const *processes, size_t n) {
        ErrRecord kept = err_keep();

        for (size_t i = 0; i < n; i++) {
                const Process *p = processes[i];

                if (p->has_affinity)
                        (void)sched_setaffinity((pid_t)p->pid, p->affinity.len,
                                                (const cpu_set_t *)p->affinity.data);
                if (p->has_ioprio)
                        (void)syscall(SYS_ioprio_set, IOPRIO_WHO_PROCESS, (int)p->pid, p->ioprio);
                for (size_t k = 0; k < p->n_slacks; k++)
                        put_slack(p->slacks[k]);
        }
        err_put_back(&kept);
}

/* One that has this number in a namespace of the tree's is none of those that are looked for, nor is one
 * that has it on the host alone. */
static bool lives_in_scope(const Tree *tree, uint32_t pid) {
        _cleanup_(freep) char *cgroup = NULL;

        return process_own_number((pid_t)pid) == (pid_t)pid && cgroup_of((pid_t)pid, &cgroup) >= 0 &&
               scope_is_of(tree, cgroup);
}

int processes_found(const char *criu, const Tree *tree) {
        size_t half = 0;

        for (size_t i = 0; i < tree->n_pids; i++)
                if (criu_is_run_by(criu, (pid_t)tree->pids[i]) && lives_in_scope(tree, tree->pids[i]) &&
                    kill((pid_t)tree->pids[i], SIGKILL) >= 0)
                        half++;
        if (half > 0)
                return err_say(-ECHILD, "CRIU was killed during the restore; its partly restored processes "
                                        "were killed");
        if (!lives_in_scope(tree, tree_own_root(tree)))
                return err_say(-ESRCH, "none of its processes run");
        return 0;
}

/* SPDX-License-Identifier: GPL-2.0-or-later */

/*
 * The end of a whole tree. A process that dies leaves its children to somebody else, where they are found no
 * more, and one that runs makes new ones meanwhile: so all stand still before the first one is killed.
 */

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/err.h"
#include "base/fd.h"
#include "criu/criu.h"
#include "model/snapshot.h"
#include "proc/procfs.h"

#include <poll.h>
#include <signal.h>
#include <sys/pidfd.h>
#include <time.h>

#define END_TIMEOUT (10 * USEC_PER_SEC)

/* The very process that a snapshot has: -1 if it is gone. */
static int open_process(pid_t pid, uint64_t start) {
        _cleanup_(closep) int pidfd = pidfd_open(pid, 0);
        uint64_t found;

        if (pidfd < 0 || process_start_time(pid, &found) < 0 || found != start)
                return -1;
        return TAKE_FD(pidfd);
}

static void signal_to(const SnapProcess *p, int signal) {
        _cleanup_(closep) int pidfd = open_process(p->pid, p->start);

        if (pidfd >= 0)
                (void)pidfd_send_signal(pidfd, signal, NULL, 0);
}

static bool stands(const SnapProcess *p) {
        return p->state == 'T' || p->state == 't' || p->state == 'Z';
}

/* Answer 1: some had to be told. */
static int stop_members(const SnapProcess *const *members, size_t n) {
        int told = 0;

        for (size_t i = 0; i < n; i++)
                if (!stands(members[i])) {
                        signal_to(members[i], SIGSTOP);
                        told = 1;
                }
        return told;
}

static int wait_end(const SnapProcess *p, uint64_t deadline) {
        _cleanup_(closep) int pidfd = open_process(p->pid, p->start);
        struct pollfd event = {.fd = pidfd, .events = POLLIN};
        int n = 1;

        while (pidfd >= 0 && (n = poll(&event, 1, deadline_ms(deadline))) < 0 && errno == EINTR)
                ;
        return n > 0 ? 0 : err_say(-ETIMEDOUT, "process %d cannot be killed", (int)p->pid);
}

static int kill_members(const SnapProcess *const *members, size_t n) {
        uint64_t deadline = now_monotonic() + END_TIMEOUT;
        int r = 0;

        for (size_t i = 0; i < n; i++)
                signal_to(members[i], SIGKILL);
        for (size_t i = 0; r >= 0 && i < n; i++)
                r = wait_end(members[i], deadline);
        return r < 0 ? err_pass(r) : 0;
}

/* One round: stops what moves, or ends what stands. Answer 1: another round. */
static int end_round(pid_t root, uint64_t start, bool last) {
        _cleanup_(snapshot_freep) Snapshot *all = NULL;
        _cleanup_(freep) const SnapProcess **members = NULL;
        uint64_t found;
        size_t n;
        int r;

        if (process_start_time(root, &found) < 0 || found != start)
                return 0;
        r = snapshot_take(SNAP_PROCESSES, NULL, 0, &all);
        if (r >= 0)
                r = snapshot_tree(all, root, &members, &n);
        if (r == -ESRCH)
                return 0;
        if (r < 0)
                return err_pass(r);
        if (stop_members(members, n) > 0 && !last)
                return 1;
        return kill_members(members, n);
}

int criu_tree_end(pid_t root, uint64_t start) {
        uint64_t deadline = now_monotonic() + END_TIMEOUT;
        const struct timespec pause = {.tv_nsec = 1000000};
        int r;

        /* One that the kernel does not let stop must not keep the others alive. */
        while ((r = end_round(root, start, now_monotonic() > deadline)) > 0)
                (void)nanosleep(&pause, NULL);
        return r < 0 ? err_pass(r) : 0;
}

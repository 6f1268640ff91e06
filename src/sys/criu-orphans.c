/* SPDX-License-Identifier: GPL-2.0-or-later */

/* A CRIU is told from other programs of that name by what nobody else can have: it is root's, and belongs
 * to PID 1 since its client died. */

#include "sys/criu.h"

#include "base/clock.h"
#include "base/err.h"
#include "base/fd.h"
#include "model/snapshot.h"
#include "sys/procfs.h"

#include <poll.h>
#include <string.h>
#include <sys/pidfd.h>

static int wait_end(pid_t pid, uint64_t deadline) {
        _cleanup_(closep) int pidfd = pidfd_open(pid, 0);
        struct pollfd p = {.fd = pidfd, .events = POLLIN};
        int n;

        if (pidfd < 0)
                return 0; /* it is gone */
        while ((n = poll(&p, 1, deadline_ms(deadline))) < 0 && errno == EINTR)
                ;
        return n > 0 ? 0 : err_say(-ETIMEDOUT, "CRIU (process %d) does not end", (int)pid);
}

int criu_wait_orphans(uint64_t deadline) {
        _cleanup_(snapshot_freep) Snapshot *all = NULL;
        int r = snapshot_take(SNAP_PROCESSES, NULL, 0, &all);

        for (size_t i = 0; r >= 0 && i < all->n_processes; i++) {
                const SnapProcess *p = all->processes + i;

                if (p->ppid == 1 && p->uid == 0 && strcmp(p->comm, "criu") == 0)
                        r = wait_end(p->pid, deadline);
        }
        return r < 0 ? err_pass(r) : 0;
}

/* SPDX-License-Identifier: GPL-2.0-or-later */

/* A CRIU is told from other programs of that name by what nobody else can have: it is root's, and belongs
 * to PID 1 since its client died. */

#include "criu/criu.h"
#include "criu/internal.h"

#include "base/clock.h"
#include "base/err.h"
#include "base/fd.h"
#include "base/text.h"
#include "model/snapshot.h"
#include "proc/procfs.h"

#include <limits.h>
#include <poll.h>
#include <stdio.h>
#include <sys/pidfd.h>
#include <sys/stat.h>
#include <unistd.h>

static int wait_end(pid_t pid, uint64_t deadline) {
        _cleanup_(closep) int pidfd = pidfd_open(pid, 0);
        struct pollfd p = {.fd = pidfd, .events = POLLIN};
        int n;

        if (pidfd < 0)
                return 0; /* it is gone */
        while ((n = poll(&p, 1, deadline_ms(deadline))) < 0 && errno == EINTR)
                ;
        return n > 0 ? 0 : err_say(-ETIMEDOUT, "CRIU (process %d) does not terminate", (int)pid);
}

static bool is_program(const char *criu, const char *exe) {
        char path[PATH_MAX];
        struct stat want, have;

        return criu_find(criu, path) >= 0 && stat(path, &want) >= 0 && stat(exe, &have) >= 0 &&
               want.st_dev == have.st_dev && want.st_ino == have.st_ino;
}

bool criu_is_run_by(const char *criu, pid_t pid) {
        char link[32], exe[PATH_MAX];
        ssize_t n;

        snprintf(link, sizeof link, "/proc/%d/exe", (int)pid);
        n = readlink(link, exe, sizeof exe - 1);
        if (n < 0)
                return false;
        exe[n] = '\0';
        return ends_with(exe, "/criu") || ends_with(exe, "/criu (deleted)") || is_program(criu, link);
}

int criu_wait_orphans(const char *criu, uint64_t deadline) {
        _cleanup_(snapshot_freep) Snapshot *all = NULL;
        int r = snapshot_take(SNAP_PROCESSES, NULL, 0, &all);

        for (size_t i = 0; r >= 0 && i < all->n_processes; i++) {
                const SnapProcess *p = all->processes + i;

                if (p->ppid == 1 && p->uid == 0 && criu_is_run_by(criu, p->pid))
                        r = wait_end(p->pid, deadline);
        }
        return r < 0 ? err_pass(r) : 0;
}

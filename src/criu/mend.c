/* SPDX-License-Identifier: GPL-2.0-or-later */

/*
 * A CRIU that hangs in the middle of a dump may have to be killed, and the tree is to go on living. What the
 * kernel undoes by itself when the tracer dies: ptrace stops end, suspended seccomp filters work again, and
 * CRIU's parasite in the tree finds its socket closed and puts the thread back where it was. What nobody
 * undoes is TCP repair mode, a property of the sockets: they would neither send nor receive for ever.
 */

#include "criu/criu.h"

#include "base/cleanup.h"
#include "base/err.h"
#include "base/fd.h"
#include "base/text.h"
#include "proc/process-tree.h"

#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/pidfd.h>
#include <sys/socket.h>
#include <unistd.h>

static void leave_repair(int pidfd, int number, size_t *failed) {
        _cleanup_(closep) int fd = pidfd_getfd(pidfd, number, 0);
        socklen_t size = sizeof(int);
        int value = 0;

        if (fd < 0 || getsockopt(fd, SOL_SOCKET, SO_PROTOCOL, &value, &size) < 0 || value != IPPROTO_TCP)
                return;
        size = sizeof value;
        if (getsockopt(fd, IPPROTO_TCP, TCP_REPAIR, &value, &size) < 0 || value != 1)
                return;
        value = 0;
        if (setsockopt(fd, IPPROTO_TCP, TCP_REPAIR, &value, sizeof value) < 0)
                (*failed)++;
        /* Leaving the mode takes SO_REUSEADDR away, and a server that starts again could not listen on the
         * port of this connection. What it was before cannot be asked any more; no connection is hurt by
         * it. */
        value = 1;
        if (setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &value, sizeof value) < 0)
                (*failed)++;
}

static void mend_process(pid_t pid, size_t *failed) {
        _cleanup_(closep) int pidfd = pidfd_open(pid, 0);
        _cleanup_(closedirp) DIR *fds = NULL;
        char path[64];
        struct dirent *entry;

        snprintf(path, sizeof path, "/proc/%d/fd", pid);
        if (pidfd < 0 || !(fds = opendir(path)))
                return; /* it is gone */
        while ((entry = readdir(fds))) {
                char target[64];
                ssize_t k;
                uint64_t number;

                if (parse_u64(entry->d_name, INT_MAX, &number) < 0)
                        continue;
                k = readlinkat(dirfd(fds), entry->d_name, target, sizeof target - 1);
                if (k <= 0)
                        continue;
                target[k] = '\0';
                if (starts_with(target, "socket:"))
                        leave_repair(pidfd, (int)number, failed);
        }
}

int criu_tree_mend(pid_t root) {
        _cleanup_(freep) pid_t *pids = NULL;
        size_t n, failed = 0;
        int r;

        r = process_tree_list(root, &pids, &n);
        if (r < 0)
                return err_pass(r);
        for (size_t i = 0; i < n; i++)
                mend_process(pids[i], &failed);
        if (failed > 0)
                return err_say(-EIO,
                               "%zu connections of the tree of process %d are still in TCP repair mode",
                               failed, root);
        return 0;
}

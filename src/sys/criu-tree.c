/* SPDX-License-Identifier: GPL-2.0-or-later */

/*
 * The processes of a tree, by the kernel's lists of children, which are exact while the tree is frozen.
 *
 * A CRIU that hangs in the middle of a dump may have to be killed, and the tree is to go on living. What the
 * kernel undoes by itself when the tracer dies: ptrace stops end, suspended seccomp filters work again, and
 * CRIU's parasite in the tree finds its socket closed and puts the thread back where it was. What nobody
 * undoes is TCP repair mode, a property of the sockets: they would neither send nor receive for ever.
 *
 * A CRIU that hangs in a restore has children which wait for its next step; without it they would do so for
 * ever, under the numbers that a second try needs.
 */

#include "sys/criu-process.h"

#include "base/clock.h"
#include "base/err.h"
#include "base/fd.h"
#include "base/text.h"

#include <dirent.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/socket.h>
#include <unistd.h>

#define TREE_MAX 65536u /* as many as a snapshot allows */

typedef struct Pids {
        pid_t *pid;
        size_t n;
} Pids;

static void pids_done(Pids *pids) {
        free(pids->pid);
}

static int pids_add(Pids *pids, pid_t pid) {
        if (pids->n >= TREE_MAX)
                return -E2BIG;
        return model_append(pids->pid, pids->n, pid);
}

/* Adds the children of one thread: a line of numbers. */
static int add_children_of_thread(Pids *pids, pid_t pid, const char *tid) {
        _cleanup_(freep) char *path = text_format("/proc/%d/task/%s/children", pid, tid);
        _cleanup_(freep) char *line = NULL;
        size_t size;
        char *rest, *word;
        int r;

        if (!path)
                return -ENOMEM;
        if (file_slurp(-1, path, TREE_MAX * 8, &line, &size) < 0)
                return 0; /* it is gone */
        for (word = strtok_r(line, " \n", &rest); word; word = strtok_r(NULL, " \n", &rest)) {
                pid_t child;

                if (parse_pid(word, &child) < 0)
                        continue;
                r = pids_add(pids, child);
                if (r < 0)
                        return r;
        }
        return 0;
}

static int add_children(Pids *pids, pid_t pid) {
        _cleanup_(closedirp) DIR *tasks = NULL;
        char path[64];
        struct dirent *entry;

        snprintf(path, sizeof path, "/proc/%d/task", pid);
        tasks = opendir(path);
        if (!tasks)
                return 0;
        while ((entry = readdir(tasks))) {
                int r;

                if (entry->d_name[0] == '.')
                        continue;
                r = add_children_of_thread(pids, pid, entry->d_name);
                if (r < 0)
                        return r;
        }
        return 0;
}

/* The descendants of root behind it, parents first. */
static int add_descendants(Pids *pids, pid_t root) {
        int r = add_children(pids, root);

        for (size_t i = 0; r >= 0 && i < pids->n; i++)
                if (pids->pid[i] != root)
                        r = add_children(pids, pids->pid[i]);
        return r;
}

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
         * port of this connection. What it was before cannot be asked any more; no connection is hurt by it.
         */
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

int criu_tree_list(pid_t root, pid_t **ret, size_t *ret_n) {
        _cleanup_(pids_done) Pids pids = {};
        int r;

        r = pids_add(&pids, root);
        if (r >= 0)
                r = add_descendants(&pids, root);
        if (r < 0)
                return err_born(r, "cannot walk the tree of process %d", root);
        *ret_n = pids.n;
        *ret = TAKE(pids.pid);
        return 0;
}

void criu_tree_kill(const pid_t *pids, size_t n) {
        for (size_t i = 0; i < n; i++)
                (void)kill(pids[i], SIGKILL);
}

int criu_tree_wait(const pid_t *pids, size_t n, uint64_t deadline) {
        for (size_t i = 0; i < n; i++) {
                _cleanup_(closep) int pidfd = pidfd_open(pids[i], 0);
                struct pollfd p = {.fd = pidfd, .events = POLLIN};
                int k;

                while (pidfd >= 0 && (k = poll(&p, 1, deadline_ms(deadline))) <= 0)
                        if (k == 0 || errno != EINTR)
                                return err_say(-ETIMEDOUT, "process %d does not die", pids[i]);
        }
        return 0;
}

int criu_tree_mend(pid_t root) {
        _cleanup_(freep) pid_t *pids = NULL;
        size_t n, failed = 0;
        int r;

        r = criu_tree_list(root, &pids, &n);
        if (r < 0)
                return err_pass(r);
        for (size_t i = 0; i < n; i++)
                mend_process(pids[i], &failed);
        if (failed > 0)
                return err_say(-EIO, "%zu connections of the tree of process %d stay in TCP repair mode",
                               failed, root);
        return 0;
}

void criu_kill_children(pid_t criu) {
        _cleanup_(pids_done) Pids pids = {};

        (void)add_descendants(&pids, criu);
        for (size_t i = 0; i < pids.n; i++)
                (void)kill(pids.pid[i], SIGKILL);
}

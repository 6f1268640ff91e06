/* SPDX-License-Identifier: GPL-2.0-or-later */

/* Whether something of a tree lives, whatever is noted of it. */

#include "restore/living.h"
#include "restore/restore.h"

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/err.h"
#include "base/fd.h"
#include "base/text.h"
#include "proc/ns.h"
#include "proc/procfs.h"
#include "restore/init.h"
#include "restore/scope.h"
#include "systemd/cgroup.h"

#include <dirent.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define STATUS_MAX 65536u
#define LOOK_MS    50

bool living_is_of(const Tree *tree, const char *cgroup, const char *status) {
        pid_t pid = procfs_innermost(status, "NSpid:"); /* in its own namespace, if it has one */

        if (pid == 0 || !scope_is_of(tree, cgroup) || strstr(status, "\nState:\tZ") ||
            strstr(status, "\nState:\tX"))
                return false;
        for (size_t i = 0; i < tree->n_pids; i++)
                if (tree->pids[i] == (uint32_t)pid)
                        return true;
        return false;
}

static bool is_of(const Tree *tree, pid_t pid) {
        _cleanup_(freep) char *cgroup = NULL, *status = NULL;
        char path[32];

        if (cgroup_of(pid, &cgroup) < 0 || !scope_is_of(tree, cgroup))
                return false;
        snprintf(path, sizeof path, "/proc/%d/status", (int)pid);
        return file_slurp(AT_FDCWD, path, STATUS_MAX, &status, NULL) >= 0 &&
               living_is_of(tree, cgroup, status);
}

int restore_living(const Tree *tree, pid_t *ret) {
        _cleanup_(closedirp) DIR *d = opendir("/proc");
        struct dirent *e;
        pid_t pid;

        if (!d)
                return err_born(-errno, "cannot search for processes");
        while ((e = readdir(d)))
                if (parse_pid(e->d_name, &pid) >= 0 && is_of(tree, pid)) {
                        *ret = pid;
                        return 0;
                }
        return 1;
}

static pid_t parent_of(pid_t pid) {
        _cleanup_(freep) char *status = NULL;
        const char *at;
        char path[32];
        int parent = 0;

        snprintf(path, sizeof path, "/proc/%d/status", (int)pid);
        if (file_slurp(AT_FDCWD, path, STATUS_MAX, &status, NULL) < 0)
                return 0;
        at = strstr(status, "\nPPid:\t");
        return at && sscanf(at, "\nPPid:\t%d", &parent) == 1 ? parent : 0;
}

/* It closes what it answers by when it has answered. 0: it has; -ESRCH: it has ended. */
static int wait_answered(pid_t init, int pidfd, uint64_t deadline) {
        struct pollfd p = {.fd = pidfd, .events = POLLIN};
        char path[48];

        snprintf(path, sizeof path, "/proc/%d/fd/%d", (int)init, INIT_FD_ANSWER);
        for (;;) {
                bool answered = faccessat(AT_FDCWD, path, F_OK, AT_SYMLINK_NOFOLLOW) < 0;

                if (poll(&p, 1, answered ? 0 : LOOK_MS) > 0)
                        return err_say(-ESRCH, "the init of its namespace has ended");
                if (answered)
                        return 0;
                if (now_monotonic() >= deadline)
                        return err_say(-ETIMEDOUT, "the init of its namespace is still at work");
        }
}

int living_inside(const Tree *tree, uint64_t deadline, pid_t *ret) {
        uint32_t own = tree_own_root(tree);
        _cleanup_(closep) int pidfd = -1;
        Tree root = *tree;
        pid_t pid, init;
        int r;

        root.pids = &own;
        root.n_pids = 1;
        r = restore_living(&root, &pid);
        if (r > 0)
                return err_say(-ESRCH, "none of its processes run");
        if (r < 0)
                return err_pass(r);
        init = parent_of(pid);
        r = ns_open_tree_of(init, pid, (pid_t)own, &pidfd);
        if (r >= 0)
                r = wait_answered(init, pidfd, deadline);
        if (r < 0)
                return err_pass(r);
        *ret = init;
        return 0;
}

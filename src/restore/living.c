/* SPDX-License-Identifier: GPL-2.0-or-later */

/* Whether something of a tree lives, whatever is noted of it. */

#include "restore/living.h"
#include "restore/restore.h"

#include "base/cleanup.h"
#include "base/err.h"
#include "base/fd.h"
#include "base/text.h"
#include "proc/procfs.h"
#include "restore/scope.h"
#include "systemd/cgroup.h"

#include <dirent.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>

#define STATUS_MAX 65536u

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

/* SPDX-License-Identifier: GPL-2.0-or-later */

/* One file each: cgroup.procs of the unified hierarchy, and /proc/PID/cgroup. */

#include "systemd/cgroup.h"

#include "base/cleanup.h"
#include "base/err.h"
#include "base/fd.h"
#include "base/text.h"
#include "model/model.h"

#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define PROCS_LIMIT                                                                                         \
        (8u << 20) /* 4,194,304 PIDs would not fit; a session with a million processes is refused */

/* A path of ours comes out of a ticket or /proc; "..", were it ever there, must not lead out. */
static int procs_path(const char *cgroup, char path[static PATH_MAX]) {
        if (cgroup[0] != '/' || strstr(cgroup, "/../") || ends_with(cgroup, "/.."))
                return err_say(-EINVAL, "'%s' is not a valid cgroup path", cgroup);
        if (snprintf(path, PATH_MAX, "/sys/fs/cgroup%s/cgroup.procs", cgroup) >= PATH_MAX)
                return err_born(-ENAMETOOLONG, "cannot open cgroup %.64s...", cgroup);
        return 0;
}

static int parse_procs(char *text, pid_t **ret, size_t *ret_n) {
        _cleanup_(freep) pid_t *pids = NULL;
        char *state;
        size_t n = 0;
        int r;

        for (char *line = strtok_r(text, "\n", &state); line; line = strtok_r(NULL, "\n", &state)) {
                pid_t pid;

                if (parse_pid(line, &pid) < 0)
                        continue; /* "0": a process that our PID namespace does not see */
                r = model_append(pids, n, pid);
                if (r < 0)
                        return r;
        }
        *ret = TAKE(pids);
        *ret_n = n;
        return 0;
}

int cgroup_procs_pids(int procs_fd, pid_t **ret, size_t *ret_n) {
        _cleanup_(freep) char *text = NULL;
        _cleanup_(closep) int fd = -1;
        char link[FD_LINK_SIZE];
        int r;

        fd = open(fd_link(procs_fd, link), O_RDONLY | O_CLOEXEC); /* procs_fd is for writing */
        if (fd < 0)
                return err_born(-errno, "cannot read the processes of the cgroup");
        r = fd_slurp(fd, PROCS_LIMIT, &text, NULL);
        return r < 0 ? err_pass(r) : parse_procs(text, ret, ret_n);
}

int cgroup_of(pid_t pid, char **ret) {
        _cleanup_(freep) char *text = NULL;
        char path[32], *state, *found;
        int r;

        snprintf(path, sizeof path, "/proc/%d/cgroup", (int)pid);
        r = file_slurp(AT_FDCWD, path, PATH_MAX + 4096, &text, NULL);
        if (r < 0)
                return err_pass(r);
        for (char *line = strtok_r(text, "\n", &state); line; line = strtok_r(NULL, "\n", &state)) {
                if (!starts_with(line, "0::"))
                        continue;
                found = strdup(line + 3);
                if (!found)
                        return -ENOMEM;
                *ret = found;
                return 0;
        }
        return err_say(-EOPNOTSUPP,
                       "this machine has no unified cgroup hierarchy (cgroup v2), which carryover requires");
}

int cgroup_open_procs(const char *path) {
        char file[PATH_MAX];
        int fd, r;

        r = procs_path(path, file);
        if (r < 0)
                return err_pass(r);
        fd = open(file, O_WRONLY | O_CLOEXEC | O_NOFOLLOW);
        return fd < 0 ? err_born(-errno, "cannot open cgroup %s", path) : fd;
}

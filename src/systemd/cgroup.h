/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/* The unified cgroup hierarchy at /sys/fs/cgroup. Paths are as in /proc/PID/cgroup:
 * "/user.slice/user-0.slice/session-4.scope". */

#include <sys/types.h>

/* The v2 path of a process; caller frees. */
int cgroup_of(pid_t pid, char **ret);

/* An O_WRONLY descriptor of the cgroup's cgroup.procs. */
int cgroup_open_procs(const char *path);

/* PIDs directly in the cgroup, by that descriptor; caller frees. */
int cgroup_procs_pids(int procs_fd, pid_t **ret, size_t *ret_n);

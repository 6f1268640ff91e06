/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/* Shared by procfs*.c only. */

#include "model/snapshot.h"

/* More than this is no session but an attack on whoever looks at it. Of processes there are as many as the
 * kernel allows: a bound here would let one user keep everybody from being carried. */
#define PROCFS_MAX_THREADS 65536u
#define PROCFS_MAX_FDS     65536u
#define PROCFS_MAX_MAPS    65536u
#define PROCFS_MAX_SOCKETS (1u << 22)

/* The mounts of our namespace, by id and by device. */
typedef struct Mount {
        int id;
        unsigned major, minor;
        bool is_volatile; /* tmpfs, ramfs */
        bool is_remote;   /* a path on it is not looked up: its server may never answer (fuse, nfs, ...) */
} Mount;

typedef struct Mounts {
        Mount *list;
        size_t n;
} Mounts;

int mounts_read(Mounts *ret);
void mounts_done(Mounts *mounts);
const Mount *mounts_by_id(const Mounts *mounts, int id);
const Mount *mounts_by_device(const Mounts *mounts, unsigned major, unsigned minor);

/* Whether the next boot has no such file: it is in memory, or below /tmp, which Debian 12 empties at boot
 * and Debian 13 has in memory. The mount may be NULL. */
bool mount_forgets(const Mount *mount, const char *path);

/* Fill fds or maps of p; -ESRCH if it is gone by now. pid_dir is /proc/PID. */
int procfs_fds(int pid_dir, const Mounts *mounts, SnapProcess *p);
int procfs_maps(int pid_dir, const Mounts *mounts, SnapProcess *p);

/* unixes, inets, unread netlink data. Sets no_diag instead of failing where the kernel cannot tell. */
int procfs_sockets(const Mounts *mounts, Snapshot *s);

/* Fills s->holders: a walk over the fds of every process that has none in the snapshot. */
int procfs_holders(Snapshot *s);

/* Text behind the last `key` at a line's begin in a /proc file ("Uid:\t0"), or NULL. */
const char *procfs_field(const char *text, const char *key);

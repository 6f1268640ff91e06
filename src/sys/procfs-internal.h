/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/* Shared by procfs*.c only. */

#include "model/snapshot.h"
#include "sys/mounts.h"

/* More than this is no session but an attack on whoever looks at it. Of processes there are as many as the
 * kernel allows: a bound here would let one user keep everybody from being carried. */
#define PROCFS_MAX_THREADS 65536u
#define PROCFS_MAX_FDS     65536u
#define PROCFS_MAX_MAPS    65536u
#define PROCFS_MAX_SOCKETS (1u << 22)

/* Fill fds or maps of p; -ESRCH if it is gone by now. pid_dir is /proc/PID. */
int procfs_fds(int pid_dir, const Mounts *mounts, SnapProcess *p);
int procfs_maps(int pid_dir, const Mounts *mounts, SnapProcess *p);

/* Notes a mount with p, once; one that our namespace does not have is left out. */
int procfs_stands_on(const Mounts *mounts, SnapProcess *p, int mnt_id);
/* The one that a link of /proc/PID leads to, if it leads anywhere. */
int procfs_stands_by(int pid_dir, const char *link, const Mounts *mounts, SnapProcess *p);
/* Those of its program, root and working directory, descriptors. */
int procfs_mounts(int pid_dir, const Mounts *mounts, SnapProcess *p);
/* When sockets are known: those of their names, then fills s->mounts. */
int procfs_mounts_end(Mounts *mounts, Snapshot *s);

/* unixes, inets, unread netlink data. Sets no_diag instead of failing where the kernel cannot tell. */
int procfs_sockets(const Mounts *mounts, Snapshot *s);

/* Fills s->holders: a walk over the fds of every process that has none in the snapshot. */
int procfs_holders(Snapshot *s);

/* Text behind the last `key` at a line's begin in a /proc file ("Uid:\t0"), or NULL. */
const char *procfs_field(const char *text, const char *key);

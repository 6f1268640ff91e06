/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/* The mounts of our own namespace, as /proc/self/mountinfo tells of them, and waiting for those that a tree
 * stands on. Nothing here looks into a file system: its server may never answer. */

#include "model/model.h"
#include "model/snapshot.h"

#include <stdio.h>

typedef struct MountLine {
        SnapMount at;
        int parent; /* id of the mount that it is on */
        int here;   /* id of the same one in our namespace; 0: we have none */
        unsigned major, minor;
        bool is_elsewhere; /* of another namespace: in ours the point leads to something else */
        bool is_volatile;  /* tmpfs, ramfs */
        bool is_remote;    /* a path on it is not looked up: its server may never answer (fuse, nfs, ...) */
} MountLine;

typedef struct Mounts {
        MountLine *list; /* in the order in which they were mounted, as long as none was moved */
        size_t n;
} Mounts;

int mounts_read(Mounts *ret);
/* Those of the namespace of another process; which of them are ours, too, is told by `ours`. -ESRCH if it is
 * gone. */
int mounts_read_of(pid_t pid, const Mounts *ours, Mounts *ret);
/* The same of any file that has mountinfo's lines. */
int mounts_parse(FILE *file, Mounts *ret);
void mounts_done(Mounts *mounts);

const MountLine *mounts_by_id(const Mounts *mounts, int id);
const MountLine *mounts_by_device(const Mounts *mounts, unsigned major, unsigned minor);
/* Where a path leads that has no links in it; NULL only if there is no root. */
const MountLine *mounts_by_path(const Mounts *mounts, const char *path);

/* Whether the next boot has no such file: it is in memory, or below /tmp, which Debian 12 empties at boot
 * and Debian 13 has in memory. The mount may be NULL. */
bool mount_forgets(const MountLine *mount, const char *path);

/*
 * Whether every mount that a tree stands on is there: the same directory of the same type of file system on
 * the same point, and of a server the same source; a disk may have another name by now. 0; 1 with the
 * sentence of -ETIMEDOUT; -EBADMSG: the ticket names an impossible mount. `below`: only those at or below
 * this path; NULL: all.
 */
int mounts_missing(const Mounts *mounts, const Tree *tree, const char *below);

/*
 * Waits until they are there, by the kernel's announcements. What autofs mounts when it is asked for is
 * asked for, by a child that may hang on it. 0; -ETIMEDOUT with the sentence naming the first one missing;
 * -ECANCELED when stop_fd (or -1) becomes readable.
 */
int mounts_wait(const Tree *tree, uint64_t usec, int stop_fd);

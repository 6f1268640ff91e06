/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/* What a descriptor of inotify watches, as its file in fdinfo tells root: by a handle of the file, and not
 * by a name. */

#include "kernel/mounts.h"

#include <stddef.h>

/* What may still be looked at: one instance has many descriptors, by dup(2) and fork(2), and is seen at
 * each. */
typedef struct WatchRoom {
        size_t watches, bytes;
} WatchRoom;

/*
 * Reads the file in fdinfo, which it closes, and adds the paths of what is watched, is no directory, and is
 * not there in the next boot (mount_forgets()). `left` gets less by each watch, of whatever, and by its
 * path; more than there is: -E2BIG. Calls step() for each. Whatever a line says, no file is opened for more
 * than its path.
 */
int watches_read(int fdinfo, const Mounts *mounts, WatchRoom *left, void (*step)(void), char ***paths,
                 size_t *n_paths);

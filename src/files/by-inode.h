/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/* Files that may have lost the name that is known, and have another one in the same directory. Directories
 * are never reached through a symbolic link. */

#include "base/fd.h"

#include <dirent.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* A name in a directory that is held open. */
typedef struct Place {
        int dir_fd;
        const char *name; /* in the path that it was opened by */
} Place;

#define PLACE_NONE ((Place){.dir_fd = -1})

void by_inode_place_done(Place *place);
/* The directory of an absolute path, and its last component; false if it is not there. */
bool by_inode_place_open(const char *path, Place *ret);

/* An O_PATH descriptor of a regular file with that inode number under that name. -ENOENT, without a
 * sentence. */
int by_inode_open(int dir_fd, const char *name, uint64_t inode);

/*
 * What may be read of directories that their users fill as they like: a session has thousands of such files
 * at most, and a directory has as many names as somebody wants. So all trees of one call share some
 * seconds of reading, and each tree has a number of entries, so that it leaves the others something. What is
 * not found then stays as it is.
 */
typedef struct Sweep {
        uint64_t usec;        /* left, of all trees */
        uint64_t max_entries; /* of each */
        bool cut;             /* something was not read */
} Sweep;

Sweep by_inode_sweep_begin(void);
/* -ETIMEDOUT with a sentence if something was not read. */
int by_inode_sweep_end(const Sweep *sweep);

/* A file of a tree: its number, and an absolute path in its directory. */
typedef struct Sought {
        const char *path;
        uint64_t inode;
        const void *of; /* the caller's */
} Sought;

/* What of the sought files has that inode number, or NULL. */
const Sought *by_inode_sought(const Sought *sought, size_t n, uint64_t inode);

/* Asked for each entry of a directory, with the files that are sought there. */
typedef void (*SoughtEntry)(int dir_fd, const struct dirent *e, const Sought *sought, size_t n);

/* Reads each directory of one tree's files once, whatever number of them is sought there. Sorts them. */
void by_inode_sweep(Sought *sought, size_t n, Sweep *sweep, SoughtEntry entry);

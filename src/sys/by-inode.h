/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/* A file that may have lost the name that is known, and has another one in the same directory. Directories
 * are never reached through a symbolic link. */

#include "base/fd.h"

#include <stdint.h>

/* A name in a directory that is held open. */
typedef struct Place {
        int dir_fd;
        const char *name; /* in the path that it was opened by */
} Place;

#define PLACE_NONE ((Place){.dir_fd = -1})

void place_done(Place *place);
/* The directory of an absolute path, and its last component; false if it is not there. */
bool place_open(const char *path, Place *ret);

/* An O_PATH descriptor of the file with that inode number in the directory of an absolute path: under that
 * name, or another one. -ENOENT, without a sentence. */
int file_by_inode(const char *path, uint64_t inode);

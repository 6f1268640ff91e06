/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/* Files that were met, by device and inode, each with a name. Looking one up takes as long among many as
 * among few: how many there are is the user's choice. */

#include <sys/types.h>

typedef struct FileSet {
        void *root; /* tsearch(3) */
} FileSet;

/* The name stays the caller's, as long as the set; of a file that is in there already the first one
 * stays. */
int file_set_add(FileSet *set, dev_t dev, ino_t ino, const char *name);

/* The name, or NULL. */
const char *file_set_find(const FileSet *set, dev_t dev, ino_t ino);

void file_set_done(FileSet *set);

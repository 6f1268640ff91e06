/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/*
 * Files and directories of a tree whose names were gone when it was saved, as CRIU brings them back. For the
 * length of a restore they are in the file system, where they were:
 *
 *         PATH.cr.ID.ghost          a file that had no name left, from the images
 *         DIRECTORY/link_remap.ID   a file that had another name left; the dump makes this one
 *         PATH, else PATH.cr_link   either of them, while it is opened
 *         PATH                      a directory that had no name left; with its parents, which CRIU leaves
 *
 * CRIU's rule for all of these is the name alone, so two restores that make the same files at once destroy
 * each other (seen with 3.17.1: "Can't create ghost regfile: File exists"): the caller lets only one at a
 * time run that has any. And a directory that is there again would get the owner and the mode of the deleted
 * one and be removed afterwards.
 *
 * Directories are never reached through a symbolic link.
 */

#include <stddef.h>
#include <stdint.h>

typedef struct Remap Remap;

typedef struct Remaps {
        Remap *items;
        size_t n;
} Remaps;

/* From the images; n 0 if they have none. */
int remaps_load(int images_fd, Remaps *ret);
void remaps_done(Remaps *remaps);

/* Before a restore, and before the original dies: -EEXIST if a deleted directory is there again. Notes what
 * CRIU will have to make. */
int remaps_check(Remaps *remaps);

/* After a restore, good or bad: parents of directories that remaps_check() did not find are removed again,
 * and whatever a CRIU that failed or was killed has left. link_remap.ID goes only while the file has another
 * name. Without remaps_check(), only names that nobody but CRIU gives. Keeps the error that is recorded. */
void remaps_sweep(const Remaps *remaps);
/* The same for images of which nobody has run remaps_check(), or which cannot be read any more. */
void remaps_sweep_images(int images_fd);

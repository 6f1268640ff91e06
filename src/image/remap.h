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
 * each other (seen with 3.17.1: "Can't create ghost regfile: File exists"): the caller lets only such
 * restores run at once that have no directory in common (remaps_places()). And a directory that is there
 * again would get the owner and the mode of the deleted one and be removed afterwards.
 *
 * Directories are never reached through a symbolic link.
 */

#include "files/by-inode.h"
#include "model/model.h"

#include <stdbool.h>
#include <stddef.h>
#include <time.h>

typedef struct Remap Remap;

typedef struct Remaps {
        Remap *items;
        size_t n;
        time_t checked;
} Remaps;

/* From the images; n 0 if they have none. */
int remaps_load(int images_fd, Remaps *ret);
void remaps_done(Remaps *remaps);

/* Where a restore makes these files. */
typedef struct RemapPlaces {
        uint64_t *inodes; /* of the directories; sorted, each once */
        size_t n;
        bool anywhere; /* it makes or removes directories as well, and may be in everybody's way */
} RemapPlaces;

/*
 * Looks at the file system of now: a directory that is not there is made. So the answer holds as long as no
 * restore that may be anywhere is at work. Without memory, that is the answer. The caller frees
 * (remap_places_done()).
 */
void remaps_places(const Remaps *remaps, RemapPlaces *ret);
void remap_places_done(RemapPlaces *places);

/* Whether both restores make files in one directory. By its number alone, since it may be reached by two
 * devices, as an NFS export that is mounted twice; two that have the same number wait for nothing. */
bool remap_places_meet(const RemapPlaces *a, const RemapPlaces *b);

/*
 * Before a restore: a file of the images whose name is another one's now gets the name PATH.cr_link in them,
 * which CRIU would give it anyway, and the files that CRIU makes for it are called after that. For CRIU
 * does so while its other processes look: one of them may take the new file for the old one, and remove it
 * (docs/CRIU.md, "Replaced files"). Returns how many were renamed; a second call finds nothing to do. -EBUSY
 * if every such name is taken, -ENAMETOOLONG if none fits.
 */
int remaps_rename_taken(int images_fd);

/* Before a restore, and before the original dies: -EBUSY if a deleted directory is there again. Notes what
 * CRIU will have to make. */
int remaps_check(Remaps *remaps);

/* After each try to restore: removes the parents that were missing, ghosts, and if it failed, at PATH and
 * PATH.cr_link what was not there and is older than remaps_check(): a child of CRIU that is killed leaves
 * it, and the next try would meet it ("Can't create even fake link"). Keeps the error that is recorded. */
void remaps_sweep(const Remaps *remaps, bool failed);

/* Ghosts that a CRIU has made; and for images that nobody will restore any more (not again) link_remap.ID,
 * while the file has another name. Keeps the error that is recorded. */
void remaps_sweep_images(int images_fd, bool again);

/* The links of a tree that nobody will restore, without its images: by the directories and the inodes of the
 * files that had lost their names (tree->traces). A file that has no other name is left alone. */
void remaps_sweep_lost(const Tree *tree, Sweep *sweep);

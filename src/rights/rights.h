/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/*
 * What the processes of a tree may do: noted while they stand frozen, looked at once more when they are back
 * and have not run yet. CRIU restores as root, from images and by names; what came of it is what counts.
 *
 * - Of each thread its users, groups, capabilities, no_new_privs, seccomp mode, number of seccomp filters
 *   and AppArmor label, and whether others of its user can look into it ("dumpable").
 *
 * - The files that it has open, executes or maps and that are not its own user's. A file is known by its
 *   mount point, its inode and its owner; what no boot brings, and a file of sysfs and its like, by its name
 *   and owner; a device by its number; one without a name by its owner. Directories give nobody anything
 *   that their names would not, nor does another file that anybody may read by its name, for reading.
 */

#include "model/model.h"

/* Fills tree->rights and tree->foreign from the processes as they are. */
int rights_note(Tree *tree);

/* 0, or -EPERM with a sentence: one of the processes below `root` may do what it could not, or has a file
 * open that it had not. Numbers are the tree's own. */
int rights_check(const Tree *tree, pid_t root);

/* The same of two texts of Rights; what is less, or the same, is fine. `who` begins the sentence. */
int rights_compare(const char *who, const char *had, const char *has);

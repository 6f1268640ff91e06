/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/*
 * dpkg takes all permissions but the owner's rw from a setuid program before it unlinks the old file, and a
 * program that still runs from it cannot be restored: the kernel gives no process an executable without an
 * exec bit (PR_SET_MM_MAP: EACCES; docs/CRIU.md, "Replaced files"). So such files get the owner's bit for
 * the time of the jump, through /proc/PID/exe, which reaches a file that has no name any more. setuid does
 * not come back.
 */

#include "files/by-inode.h"
#include "model/model.h"

/* Notes in tree->exec_bits which files of a running tree will be lent one, and have a name and so outlive
 * the jump; nothing is changed yet. The others become part of the images as they are. */
int exec_bits_find(Tree *tree);

/* Before the dump, while the tree runs. -EAGAIN: a file would need one that was not noted. */
int exec_bits_lend(Tree *tree);

/* Takes the noted ones back from a living tree: one whose save failed, or that was restored; `root` as the
 * host sees it. A file that is another one by now, or has another mode, is left alone. */
void exec_bits_return(const Tree *tree, pid_t root);

/* The same of a tree that is not there: it ended with a save that died, or cannot come back. And once more,
 * for another try. Files by their names; one that has none left in its directory, or is not found within the
 * bounds of a sweep, is left alone. */
void exec_bits_return_files(const Tree *tree, Sweep *sweep);
void exec_bits_lend_files(const Tree *tree);

/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/*
 * dpkg takes all permissions but the owner's rw from a setuid program before it unlinks the old file, and a
 * program that still runs from it cannot be restored: the kernel gives no process an executable without an
 * exec bit (PR_SET_MM_MAP: EACCES; docs/CRIU.md, "Replaced files"). So such files get the owner's bit for
 * the time of the jump, through /proc/PID/exe, which reaches a file that has no name any more. setuid does
 * not come back.
 */

#include "model/model.h"

/* Before the dump, while the tree runs. Notes in tree->exec_bits the files that have a name and so outlive
 * the jump; the others become part of the images as they are now. */
int exec_bits_lend(Tree *tree);

/* Takes the noted ones back from a living tree: one whose save failed, or that was restored; `root` as the
 * host sees it. A file that is another one by now, or has another mode, is left alone. */
void exec_bits_return(const Tree *tree, pid_t root);

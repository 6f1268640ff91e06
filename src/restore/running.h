/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/*
 * Inside this room: the note that a tree runs again. CRIU's "post-resume" is the first moment in which that
 * is true and nothing can undo it, and whatever dies from there on, the machine included, has not lost the
 * tree: without the note nobody would know whether it had lived.
 */

#include "restore/restore.h"

/* Durably, in its images. It runs whatever comes of this: a failure leaves the window open until its end is
 * noted. */
void running_note(int images_fd, const Tree *tree, const char *mode, pid_t pid);

/* Fills the outcome of a tree that has come back, but for its state (restore.h): mode is "host" or
 * "namespace", pid as the host sees it. */
int running_outcome(Tree *tree, const char *mode, pid_t pid);

/*
 * A tree that an earlier start of ours had begun with, and may have brought back: 0 if it runs, with its
 * outcome filled; else -EALREADY, and what CRIU had made of it is ended.
 */
int running_adopt(const RestoreJob *job, int home_fd, Tree *tree);

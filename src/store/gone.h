/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/* Inside this room: the way into gone/, where images wait to be overwritten. A rename
 * takes no time in a moment that has none, and what a crash leaves is found there again. */

#include <dirent.h>
#include <stdint.h>

/* The directory `name` in from_fd with all that is in it; fine if there is none. */
int gone_directory(int store_fd, int from_fd, const char *name);

/* What images take on disk, and whatever else lies beside them: those of trees that failed, those that wait
 * to be overwritten, and those of a save that is over. */
int gone_bytes(int store_fd, uint64_t *ret);

/* Every image (*.img) in dir_fd; `name` is the tree's. */
int gone_images(int store_fd, int dir_fd, const char *name);

/* Calls each() for all entries of a directory of the store; stops at an answer that is not 0, which is its
 * own. Fine if there is no such directory. */
int gone_each(int dir_fd, const char *name, int (*each)(int fd, const struct dirent *e, void *userdata),
              void *userdata);

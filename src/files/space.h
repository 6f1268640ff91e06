/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/*
 * Room for a note that must be written whoever fills the disk until then. A file "NAME.room" lies beside the
 * NAME that it is for, with blocks of its own and an entry in the directory; when there is no space for a
 * new file, the note is written into it, and it is renamed.
 */

#include <stddef.h>

/* Fine if there is one that is large enough. Answer 1: it is made, or larger now; durable with an fsync of
 * it and of the directory. -ENOSPC. */
int space_make(int dir_fd, const char *name, size_t size);

/* As file_replace(), and where that finds no space, by the room. */
int space_replace(int dir_fd, const char *name, const void *data, size_t size);

/* Brings to disk what space_make() answers 1 about. */
int space_sync(int dir_fd, const char *name);

/* It was not needed. */
void space_remove(int dir_fd, const char *name);

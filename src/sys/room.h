/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/*
 * Room for a note that must be written whoever fills the disk until then. A file "NAME.room" lies beside the
 * NAME that it is for, with blocks of its own and an entry in the directory; when there is no space for a
 * new file, the note is written into it, and it is renamed.
 */

#include <stddef.h>

/* Durable with an fsync of the directory. Fine if there is one; -ENOSPC. */
int room_make(int dir_fd, const char *name, size_t size);

/* As file_replace(), and where that finds no space, by the room. */
int room_replace(int dir_fd, const char *name, const void *data, size_t size);

/* It was not needed. */
void room_remove(int dir_fd, const char *name);

/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/*
 * The way of a name, part by part, each held open before the next is looked up: what others rename or
 * replace meanwhile leads nobody anywhere else. `..` is the directory's real parent. A link on the way is
 * followed only if nobody but root can have put it there: it is root's, all directories up to it are root's
 * and writable by nobody else, and it lies on one of the system's own file systems (on a medium or a FUSE
 * mount somebody else says what is root's). A link of procfs leads on only within procfs.
 */

#include <limits.h>
#include <stdbool.h>
#include <sys/types.h>

#pragma GCC visibility push(hidden) /* CRIU's libraries have names, too */

/* A name in a directory that is held open. */
typedef struct Place {
        int dir;
        bool roots_alone; /* nobody but root could have led the way to the directory, or change it */
        char name[NAME_MAX + 1];
} Place;

/* Where the way of `path` arrives; `dir_fd` as openat(2) has it. The last part is not looked at. 0, or -1
 * and errno: ELOOP for a link that is not followed. */
int by_inode_place_open(int dir_fd, const char *path, Place *ret);

/* Closes it and answers `r`; errno is kept. */
int place_close(Place *place, int r);

/* By the file system that the way arrived in, never by the name. */
bool place_in_proc(const Place *place);

/* In sysfs, devpts or devtmpfs, where only the kernel and root make names. */
bool place_in_devices(const Place *place);

bool is_root(int dir_fd); /* the root directory */

/* The system calls, which libc's namesakes here would else be. */
int raw_openat(int dir_fd, const char *name, int flags, mode_t mode);
int close_keeping_errno(int fd); /* -1 */

#pragma GCC visibility pop

/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/*
 * The file system calls that CRIU makes, as system calls that cannot be led elsewhere: the way of a name is
 * walked as criu-walk.h says; the last part is never followed, but where CRIU opens a link of procfs, sysfs
 * or devtmpfs; owner, mode and times are given only to what this process has made itself. All as their
 * namesakes of libc: -1 and errno, ELOOP for a link, EPERM for what is not ours.
 */

#include <sys/socket.h>
#include <sys/types.h>

#pragma GCC visibility push(hidden) /* CRIU's libraries have names, too */

int paths_open(int dir_fd, const char *path, int flags, mode_t mode);
int paths_chdir(const char *path);
int paths_link(int from_fd, const char *from, int to_fd, const char *to, int flags);
int paths_rename(const char *from, const char *to);
int paths_unlink(int dir_fd, const char *path, int flags);
int paths_mkdir(int dir_fd, const char *path, mode_t mode);
int paths_mknod(const char *path, mode_t mode, dev_t device);
int paths_symlink(const char *target, const char *path);
int paths_chown(int dir_fd, const char *path, uid_t uid, gid_t gid, int flags);
int paths_chmod(int dir_fd, const char *path, mode_t mode, int flags);
int paths_utimens(const char *path, const struct timespec times[2]);
int paths_bind(int fd, const struct sockaddr *address, socklen_t size);
int paths_connect(int fd, const struct sockaddr *address, socklen_t size);

#pragma GCC visibility pop

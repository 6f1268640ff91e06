/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/*
 * Files by descriptor. Everything opens O_CLOEXEC; a descriptor that is to be inherited is passed
 * explicitly.
 */

#include <dirent.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/* For _cleanup_: closes *fd if it is not negative; errno is kept. */
void closep(int *fd);

/* Closes fd if it is not negative, errno kept; returns -1, so that `fd = fd_close(fd)` reads well. */
int fd_close(int fd);

/* "/proc/self/fd/N": what a descriptor names, for calls that take a path and for O_PATH. */
#define FD_LINK_SIZE 32
const char *fd_link(int fd, char buffer[static FD_LINK_SIZE]);

/* Writes all of the n bytes, or fails. */
int fd_write_all(int fd, const void *data, size_t n);

/* Reads exactly n bytes; -ENODATA if the file ends before. */
int fd_read_all(int fd, void *data, size_t n);

/*
 * Reads a whole file of at most `limit` bytes (-EFBIG beyond) into a new buffer with a NUL behind it, which
 * does not count in *ret_size. Works for /proc, whose files have no size. The caller frees *ret.
 */
int fd_slurp(int fd, size_t limit, char **ret, size_t *ret_size);
int file_slurp(int dir_fd, const char *path, size_t limit, char **ret, size_t *ret_size);

/* Writes `text` to an existing file in one write(), as files below /proc/sys and /sys want it. */
int file_put(const char *path, const char *text);

/*
 * Replaces `name` in dir_fd in one durable step: a temporary file beside it, fsync, rename, fsync of the
 * directory. After a crash at any moment the name holds either the old or the new bytes. Mode 0600.
 */
int file_replace(int dir_fd, const char *name, const void *data, size_t size);

/* The same with a file that everybody may read, whatever the umask. */
int file_publish(int dir_fd, const char *name, const void *data, size_t size);

/* file_replace() without its fsyncs, for many files at once: nothing of it is durable until sync_tree(). */
int file_replace_early(int dir_fd, const char *name, const void *data, size_t size);

/*
 * Opens a path below `dir_fd` without following any symbolic link and without leaving it (openat2,
 * RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS). For every path whose directory someone else could write.
 */
int open_beneath(int dir_fd, const char *path, int flags, mode_t mode);

/* Makes a directory (parents too), owned by the caller, with this mode. Fine if it exists as a real
 * directory. */
int make_dirs(const char *path, mode_t mode);

/* The same, opened. */
int open_dirs(const char *path, mode_t mode);

/* Removes what is below and at `name` in dir_fd, never following links or crossing into another file system.
 * Fine if it does not exist. */
int file_remove_tree(int dir_fd, const char *name);

/* e->d_type, also where the file system does not tell it; DT_UNKNOWN if it is gone. */
unsigned char entry_type(int dir_fd, const struct dirent *e);

/* fsyncs every regular file and directory below dir_fd, and dir_fd itself. */
int sync_tree(int dir_fd);

/* Brings everything that was written on this machine to disk. -ETIMEDOUT: some disk, perhaps of a server
 * that is gone, does not take it, and is left to itself. */
int sync_machine(uint64_t deadline_monotonic);

/* A memfd with these bytes, offset 0. */
int memfd_with(const char *name, const void *data, size_t size);

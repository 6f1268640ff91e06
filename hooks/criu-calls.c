/* SPDX-License-Identifier: GPL-2.0-or-later */

/*
 * The calls of libc's that CRIU finds here instead: by their names, so each is the whole of a contract that
 * is libc's. Names of 3.17.1 up to 4.2.1, all that open, make, own or remove what an image names. What else
 * they have of the kind (nm -D) is for trees with mount namespaces of their own, which we do not carry
 * (mount, umount, pivot_root, mkdtemp, creat, chroot of a name), for CRIU's own directories (symlinkat,
 * remove), or only looks and decides nothing that is not decided again here (stat, access, readlink);
 * inotify_add_watch and fanotify_mark get descriptors that openat has opened.
 */

#include "criu-ctty.h"
#include "criu-paths.h"

#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <unistd.h>

/* Not declared without large file support. */
int open64(const char *path, int flags, ...);
int openat64(int dir_fd, const char *path, int flags, ...);

#define MODE_OF(flags)                                                                                      \
        ({                                                                                                  \
                mode_t mode_ = 0;                                                                           \
                if ((flags) & (O_CREAT | __O_TMPFILE)) {                                                    \
                        va_list words_;                                                                     \
                        va_start(words_, flags);                                                            \
                        mode_ = va_arg(words_, mode_t);                                                     \
                        va_end(words_);                                                                     \
                }                                                                                           \
                mode_;                                                                                      \
        })

int open64(const char *path, int flags, ...) {
        return paths_open(AT_FDCWD, path, flags, MODE_OF(flags));
}

int openat64(int dir_fd, const char *path, int flags, ...) {
        int fd = ctty_open(path, flags);

        return fd >= 0 ? fd : paths_open(dir_fd, path, flags, MODE_OF(flags));
}

int chdir(const char *path) {
        return paths_chdir(path);
}

pid_t setsid(void) {
        return ctty_setsid();
}

int linkat(int from_fd, const char *from, int to_fd, const char *to, int flags) {
        return paths_link(from_fd, from, to_fd, to, flags);
}

int rename(const char *from, const char *to) {
        return paths_rename(from, to);
}

int unlink(const char *path) {
        return paths_unlink(AT_FDCWD, path, 0);
}

int unlinkat(int dir_fd, const char *path, int flags) {
        return paths_unlink(dir_fd, path, flags);
}

int rmdir(const char *path) {
        return paths_unlink(AT_FDCWD, path, AT_REMOVEDIR);
}

int mkdir(const char *path, mode_t mode) {
        return paths_mkdir(AT_FDCWD, path, mode);
}

int mkdirat(int dir_fd, const char *path, mode_t mode) {
        return paths_mkdir(dir_fd, path, mode);
}

int mknod(const char *path, mode_t mode, dev_t device) {
        return paths_mknod(path, mode, device);
}

int symlink(const char *target, const char *path) {
        return paths_symlink(target, path);
}

int chown(const char *path, uid_t uid, gid_t gid) {
        return paths_chown(AT_FDCWD, path, uid, gid, 0);
}

int lchown(const char *path, uid_t uid, gid_t gid) {
        return paths_chown(AT_FDCWD, path, uid, gid, AT_SYMLINK_NOFOLLOW);
}

int fchownat(int dir_fd, const char *path, uid_t uid, gid_t gid, int flags) {
        return paths_chown(dir_fd, path, uid, gid, flags);
}

int chmod(const char *path, mode_t mode) {
        return paths_chmod(AT_FDCWD, path, mode, 0);
}

int fchmodat(int dir_fd, const char *path, mode_t mode, int flags) {
        return paths_chmod(dir_fd, path, mode, flags);
}

int lutimes(const char *path, const struct timeval times[2]) {
        struct timespec precise[2];

        for (int i = 0; i < 2; i++)
                precise[i] = (struct timespec){times[i].tv_sec, times[i].tv_usec * 1000};
        return paths_utimens(path, precise);
}

int bind(int fd, const struct sockaddr *address, socklen_t size) {
        return paths_bind(fd, address, size);
}

int connect(int fd, const struct sockaddr *address, socklen_t size) {
        return paths_connect(fd, address, size);
}

/* SPDX-License-Identifier: GPL-2.0-or-later */

/*
 * CRIU opens, makes, owns and removes files by the names in the images, as root and following links. Many of
 * these names lie in directories of the tree's user, and he may run again already: in another session, by
 * cron, by a user service. With a link in such a place he would have /etc/shadow opened for his session, or
 * be given it.
 *
 * The kernel told CRIU these names, so there is no link in them, but for Unix sockets, which keep what their
 * program wrote: by /var/run, with `..` in it, beginning at /proc. So whatever changes something walks its
 * name, wherever it begins. What only opens walks the names that begin at the root directory, as those of
 * the images do, from there or from its descriptor; others are below directories that CRIU has open, of
 * images and of processes.
 */

#include "criu-paths.h"
#include "criu-walk.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/sockios.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <unistd.h>

#define SIOCUNIXFILE (SIOCPROTOPRIVATE + 0) /* linux/un.h, which cannot be had beside sys/un.h */

/* What was made last; CRIU gives it its owner and mode before it makes anything else. */
static struct {
        dev_t dev;
        ino_t ino;
        mode_t type;
} made;

static void remember(const struct stat *st) {
        made.dev = st->st_dev;
        made.ino = st->st_ino;
        made.type = st->st_mode & S_IFMT;
}

/* It has just been made here, by root. */
static int note(const Place *place, mode_t type) {
        struct stat st;

        if (fstatat(place->dir, place->name, &st, AT_SYMLINK_NOFOLLOW) < 0)
                return -1;
        if ((st.st_mode & S_IFMT) != type || st.st_uid != geteuid()) {
                errno = EPERM;
                return -1;
        }
        remember(&st);
        return 0;
}

/* What was made, as a path of /proc that leads to it and nothing else; -1: it is something else by now. */
static int open_made(const Place *place, char magic[static 32]) {
        int fd = raw_openat(place->dir, place->name, O_PATH | O_NOFOLLOW | O_CLOEXEC, 0);
        struct stat st;

        if (fd < 0 || fstat(fd, &st) < 0)
                return fd < 0 ? -1 : close_keeping_errno(fd);
        if (st.st_dev != made.dev || st.st_ino != made.ino || (st.st_mode & S_IFMT) != made.type) {
                errno = EPERM;
                return close_keeping_errno(fd);
        }
        snprintf(magic, 32, "/proc/self/fd/%d", fd);
        return fd;
}

/* Where the place of a change is: the last part is a name, and no directory of another name. */
static int place_change(int dir_fd, const char *path, Place *ret) {
        if (by_inode_place_open(dir_fd, path, ret) < 0)
                return -1;
        if (strcmp(ret->name, ".") != 0 && strcmp(ret->name, "..") != 0)
                return 0;
        errno = EINVAL;
        return place_close(ret, -1);
}

/* CRIU's own links at the end of a name: to a descriptor, a namespace, a device. An image's begin at a
 * descriptor. */
static bool may_end_in_link(const Place *place, const char *path, int flags) {
        if (place_in_proc(place))
                return path[0] == '/' && !(flags & O_CREAT);
        return place_in_devices(place);
}

int paths_open(int dir_fd, const char *path, int flags, mode_t mode) {
        struct stat st;
        Place place;
        int fd;

        if ((path[0] != '/' && !is_root(dir_fd)) || path[strspn(path, "/")] == '\0')
                return raw_openat(dir_fd, path, flags, mode);
        if (by_inode_place_open(dir_fd, path, &place) < 0)
                return -1;
        if (!may_end_in_link(&place, path, flags))
                flags |= O_NOFOLLOW;
        fd = raw_openat(place.dir, place.name, flags, mode);
        if (fd >= 0 && (flags & O_CREAT) && (flags & O_EXCL) && fstat(fd, &st) == 0)
                remember(&st);
        return place_close(&place, fd);
}

int paths_chdir(const char *path) {
        int fd = paths_open(AT_FDCWD, path, O_PATH | O_DIRECTORY | O_CLOEXEC, 0), r;

        if (fd < 0)
                return -1;
        r = (int)syscall(SYS_fchdir, fd);
        (void)close_keeping_errno(fd);
        return r;
}

int paths_link(int from_fd, const char *from, int to_fd, const char *to, int flags) {
        Place a = {.dir = -1}, b;
        int r;

        if (place_change(to_fd, to, &b) < 0)
                return -1;
        if ((flags & AT_EMPTY_PATH) && !from[0]) /* of an open file, while saving */
                return place_close(&b, (int)syscall(SYS_linkat, from_fd, "", b.dir, b.name, AT_EMPTY_PATH));
        if (place_change(from_fd, from, &a) < 0)
                return place_close(&b, -1);
        r = (int)syscall(SYS_linkat, a.dir, a.name, b.dir, b.name, 0);
        return place_close(&a, place_close(&b, r));
}

int paths_rename(const char *from, const char *to) {
        Place a, b;
        int r;

        if (place_change(AT_FDCWD, from, &a) < 0)
                return -1;
        if (place_change(AT_FDCWD, to, &b) < 0)
                return place_close(&a, -1);
        r = (int)syscall(SYS_renameat, a.dir, a.name, b.dir, b.name);
        return place_close(&a, place_close(&b, r));
}

int paths_unlink(int dir_fd, const char *path, int flags) {
        Place place;

        if (place_change(dir_fd, path, &place) < 0)
                return -1;
        return place_close(&place, (int)syscall(SYS_unlinkat, place.dir, place.name, flags));
}

int paths_mkdir(int dir_fd, const char *path, mode_t mode) {
        Place place;
        int r;

        if (path[0] && path[strspn(path, "/")] == '\0') {
                errno = EEXIST;
                return -1;
        }
        if (by_inode_place_open(dir_fd, path, &place) < 0)
                return -1;
        r = (int)syscall(SYS_mkdirat, place.dir, place.name, mode);
        return place_close(&place, r < 0 ? r : note(&place, S_IFDIR));
}

int paths_mknod(const char *path, mode_t mode, dev_t device) {
        Place place;
        int r;

        if (place_change(AT_FDCWD, path, &place) < 0)
                return -1;
        r = (int)syscall(SYS_mknodat, place.dir, place.name, mode, device);
        return place_close(&place, r < 0 ? r : note(&place, mode & S_IFMT));
}

int paths_symlink(const char *target, const char *path) {
        Place place;
        int r;

        if (place_change(AT_FDCWD, path, &place) < 0)
                return -1;
        r = (int)syscall(SYS_symlinkat, target, place.dir, place.name);
        return place_close(&place, r < 0 ? r : note(&place, S_IFLNK));
}

/* What was made last and has this name, as open_made() opens it. */
static int open_own(int dir_fd, const char *path, char magic[static 32]) {
        Place place;

        if (place_change(dir_fd, path, &place) < 0)
                return -1;
        return place_close(&place, open_made(&place, magic));
}

int paths_chown(int dir_fd, const char *path, uid_t uid, gid_t gid, int flags) {
        char magic[32];
        int fd, r;

        if ((flags & AT_EMPTY_PATH) && !path[0])
                return (int)syscall(SYS_fchownat, dir_fd, path, uid, gid, flags);
        fd = open_own(dir_fd, path, magic);
        if (fd < 0)
                return -1;
        r = (int)syscall(SYS_fchownat, fd, "", uid, gid, AT_EMPTY_PATH);
        (void)close_keeping_errno(fd);
        return r;
}

int paths_chmod(int dir_fd, const char *path, mode_t mode, int flags) {
        char magic[32];
        int fd, r;

        (void)flags; /* libc knows none that could be meant here */
        fd = open_own(dir_fd, path, magic);
        if (fd < 0)
                return -1;
        r = (int)syscall(SYS_fchmodat, AT_FDCWD, magic, mode);
        (void)close_keeping_errno(fd);
        return r;
}

int paths_utimens(const char *path, const struct timespec times[2]) {
        char magic[32];
        int fd = open_own(AT_FDCWD, path, magic), r;

        if (fd < 0)
                return -1;
        r = (int)syscall(SYS_utimensat, fd, "", times, AT_EMPTY_PATH);
        (void)close_keeping_errno(fd);
        return r;
}

/* The name in a socket's address, or NULL if it has none in the file system. */
static const char *socket_path(const struct sockaddr *address, socklen_t size,
                               char path[static sizeof((struct sockaddr_un *)0)->sun_path + 1]) {
        const size_t head = offsetof(struct sockaddr_un, sun_path),
                     room = sizeof((struct sockaddr_un *)0)->sun_path;
        size_t n = size > head ? size - head : 0;

        if (n == 0 || address->sa_family != AF_UNIX)
                return NULL;
        memcpy(path, ((const struct sockaddr_un *)address)->sun_path, n > room ? room : n);
        path[n > room ? room : n] = '\0';
        return path[0] ? path : NULL;
}

/* What the kernel has made, by the name that it knows it by. */
static void take_back(int file, const struct stat *st) {
        char link[32], path[PATH_MAX];
        struct stat named;
        Place place;
        ssize_t n;

        snprintf(link, sizeof link, "/proc/self/fd/%d", file);
        n = readlink(link, path, sizeof path - 1);
        if (n <= 0)
                return;
        path[n] = '\0';
        if (by_inode_place_open(AT_FDCWD, path, &place) < 0)
                return;
        if (fstatat(place.dir, place.name, &named, AT_SYMLINK_NOFOLLOW) == 0 && named.st_dev == st->st_dev &&
            named.st_ino == st->st_ino)
                (void)syscall(SYS_unlinkat, place.dir, place.name, 0);
        (void)place_close(&place, 0);
}

/* A socket knows its own file; what somebody has led elsewhere meanwhile does not stay there. */
static int note_socket(int fd, const Place *place) {
        int file = ioctl(fd, SIOCUNIXFILE, 0), r;
        struct stat st;

        if (file < 0)
                return note(place, S_IFSOCK);
        r = note(place, S_IFSOCK);
        if (r == 0 && (fstat(file, &st) < 0 || st.st_dev != made.dev || st.st_ino != made.ino)) {
                made.type = 0;
                errno = EPERM;
                r = -1;
        }
        if (r < 0 && fstat(file, &st) == 0)
                take_back(file, &st);
        (void)close_keeping_errno(file);
        return r;
}

/* The kernel walks the name itself, and others will see it: so it is looked at before and after. */
int paths_bind(int fd, const struct sockaddr *address, socklen_t size) {
        char buffer[sizeof((struct sockaddr_un *)0)->sun_path + 1];
        const char *path = socket_path(address, size, buffer);
        Place place;
        int r;

        if (!path)
                return (int)syscall(SYS_bind, fd, address, size);
        if (place_change(AT_FDCWD, path, &place) < 0)
                return -1;
        r = (int)syscall(SYS_bind, fd, address, size);
        return place_close(&place, r < 0 ? r : note_socket(fd, &place));
}

int paths_connect(int fd, const struct sockaddr *address, socklen_t size) {
        char buffer[sizeof((struct sockaddr_un *)0)->sun_path + 1];
        const char *path = socket_path(address, size, buffer);
        struct sockaddr_un there = {.sun_family = AF_UNIX};
        int held, r = -1;
        Place place;

        if (!path)
                return (int)syscall(SYS_connect, fd, address, size);
        if (by_inode_place_open(AT_FDCWD, path, &place) < 0)
                return -1;
        if (path[0] != '/' && place_in_proc(&place)) /* a descriptor: CRIU has gone to where its own are */
                return place_close(&place, (int)syscall(SYS_connect, fd, address, size));
        held = raw_openat(place.dir, place.name, O_PATH | O_NOFOLLOW | O_CLOEXEC, 0);
        if (held >= 0) {
                snprintf(there.sun_path, sizeof there.sun_path, "/proc/self/fd/%d", held);
                r = (int)syscall(SYS_connect, fd, &there, sizeof there);
                (void)close_keeping_errno(held);
        }
        return place_close(&place, r);
}

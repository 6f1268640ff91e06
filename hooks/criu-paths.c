/* SPDX-License-Identifier: GPL-2.0-or-later */

/*
 * CRIU opens, makes, owns and removes files by the names in the images, as root and following links. Many of
 * these names lie in directories of the tree's user, and he may run again already: in another session, by
 * cron, by a user service. With a link in such a place he would have /etc/shadow opened for his session, or
 * be given it.
 *
 * The kernel told CRIU these names, so there is no link in them but where a program bound a socket by
 * /var/run. What CRIU names below /proc, /sys and /dev are its own affairs. A name that is relative counts
 * if it begins at the root directory, as those of the images do.
 */

#include "criu-paths.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <unistd.h>

#define LINKS_MAX 40 /* the kernel's own */

/* A name in a directory that is held open. */
typedef struct Place {
        int dir;
        char name[NAME_MAX + 1];
} Place;

/* What was made last; CRIU gives it its owner and mode before it makes anything else. */
static struct {
        dev_t dev;
        ino_t ino;
        mode_t type;
} made;

static int close_keeping_errno(int fd) {
        int saved = errno;

        close(fd);
        errno = saved;
        return -1;
}

static bool begins(const char *path, const char *with) {
        return strncmp(path, with, strlen(with)) == 0;
}

static bool is_root(int dir_fd) {
        struct stat root, st;

        return dir_fd >= 0 && fstat(dir_fd, &st) == 0 && stat("/", &root) == 0 && st.st_dev == root.st_dev &&
               st.st_ino == root.st_ino;
}

static bool of_images(int dir_fd, const char *path) {
        if (path[0] != '/')
                return path[0] && is_root(dir_fd) && !begins(path, "proc/") && !begins(path, "sys/") &&
                       !begins(path, "dev/");
        return path[1] && !begins(path, "/proc/") && !begins(path, "/sys/") && !begins(path, "/dev/");
}

static int raw_openat(int dir, const char *name, int flags, mode_t mode) {
        return (int)syscall(SYS_openat, dir, name, flags, mode);
}

/* Puts what root's link says before the rest of the way. Answers where to go on from. */
static int follow(int dir, int link, const struct stat *st, char rest[static PATH_MAX], const char *behind) {
        char target[PATH_MAX], way[2 * PATH_MAX];
        struct stat around;
        ssize_t n;

        if (st->st_uid != 0 || fstat(dir, &around) < 0 || around.st_uid != 0) {
                errno = ELOOP;
                return close_keeping_errno(dir);
        }
        n = readlinkat(link, "", target, sizeof target - 1);
        if (n <= 0)
                return close_keeping_errno(dir);
        target[n] = '\0';
        if (snprintf(way, sizeof way, "%s/%s", target, behind) >= PATH_MAX) {
                errno = ENAMETOOLONG;
                return close_keeping_errno(dir);
        }
        strcpy(rest, way);
        if (target[0] != '/')
                return dir;
        (void)close_keeping_errno(dir);
        return raw_openat(AT_FDCWD, "/", O_PATH | O_DIRECTORY | O_CLOEXEC, 0);
}

/* One part of the way; takes the directory. */
static int step(int dir, const char *name, const char *behind, char rest[static PATH_MAX], int *links) {
        int fd = raw_openat(dir, name, O_PATH | O_NOFOLLOW | O_CLOEXEC, 0);
        struct stat st;

        if (fd < 0 || fstat(fd, &st) < 0) {
                if (fd >= 0)
                        (void)close_keeping_errno(fd);
                return close_keeping_errno(dir);
        }
        if (S_ISLNK(st.st_mode) && --*links > 0) {
                dir = follow(dir, fd, &st, rest, behind);
                (void)close_keeping_errno(fd);
                return dir;
        }
        (void)close_keeping_errno(dir);
        memmove(rest, behind, strlen(behind) + 1);
        if (S_ISDIR(st.st_mode))
                return fd;
        errno = S_ISLNK(st.st_mode) ? ELOOP : ENOTDIR;
        return close_keeping_errno(fd);
}

static int place_open(const char *path, Place *ret) {
        char rest[PATH_MAX];
        int links = LINKS_MAX, dir;

        if (strlen(path) >= sizeof rest) {
                errno = ENAMETOOLONG;
                return -1;
        }
        strcpy(rest, path);
        dir = raw_openat(AT_FDCWD, "/", O_PATH | O_DIRECTORY | O_CLOEXEC, 0);
        while (dir >= 0) {
                char *begin = rest + strspn(rest, "/"), *behind;
                size_t n = strcspn(begin, "/");

                if (n == 0 || n > NAME_MAX) {
                        errno = n ? ENAMETOOLONG : EINVAL;
                        return close_keeping_errno(dir);
                }
                memcpy(ret->name, begin, n);
                ret->name[n] = '\0';
                behind = begin + n + strspn(begin + n, "/");
                if (!*behind) {
                        ret->dir = dir;
                        return 0;
                }
                dir = step(dir, ret->name, behind, rest, &links);
        }
        return -1;
}

static int place_close(Place *place, int r) {
        (void)close_keeping_errno(place->dir);
        return r;
}

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

int paths_open(int dir_fd, const char *path, int flags, mode_t mode) {
        struct stat st;
        Place place;
        int fd;

        if (!of_images(dir_fd, path))
                return raw_openat(dir_fd, path, flags, mode);
        if (place_open(path, &place) < 0)
                return -1;
        fd = raw_openat(place.dir, place.name, flags | O_NOFOLLOW, mode);
        if (fd >= 0 && (flags & O_CREAT) && (flags & O_EXCL) && fstat(fd, &st) == 0)
                remember(&st);
        return place_close(&place, fd);
}

int paths_link(int from_fd, const char *from, int to_fd, const char *to, int flags) {
        Place a, b;
        int r;

        if (!of_images(from_fd, from) || !of_images(to_fd, to))
                return (int)syscall(SYS_linkat, from_fd, from, to_fd, to, flags);
        if (place_open(from, &a) < 0)
                return -1;
        if (place_open(to, &b) < 0)
                return place_close(&a, -1);
        r = (int)syscall(SYS_linkat, a.dir, a.name, b.dir, b.name, 0);
        return place_close(&a, place_close(&b, r));
}

int paths_rename(const char *from, const char *to) {
        Place a, b;
        int r;

        if (!of_images(AT_FDCWD, from) || !of_images(AT_FDCWD, to))
                return (int)syscall(SYS_renameat, AT_FDCWD, from, AT_FDCWD, to);
        if (place_open(from, &a) < 0)
                return -1;
        if (place_open(to, &b) < 0)
                return place_close(&a, -1);
        r = (int)syscall(SYS_renameat, a.dir, a.name, b.dir, b.name);
        return place_close(&a, place_close(&b, r));
}

int paths_unlink(int dir_fd, const char *path, int flags) {
        Place place;

        if (!of_images(dir_fd, path))
                return (int)syscall(SYS_unlinkat, dir_fd, path, flags);
        if (place_open(path, &place) < 0)
                return -1;
        return place_close(&place, (int)syscall(SYS_unlinkat, place.dir, place.name, flags));
}

int paths_mkdir(int dir_fd, const char *path, mode_t mode) {
        Place place;
        int r;

        if (!of_images(dir_fd, path))
                return (int)syscall(SYS_mkdirat, dir_fd, path, mode);
        if (place_open(path, &place) < 0)
                return -1;
        r = (int)syscall(SYS_mkdirat, place.dir, place.name, mode);
        return place_close(&place, r < 0 ? r : note(&place, S_IFDIR));
}

int paths_mknod(const char *path, mode_t mode, dev_t device) {
        Place place;
        int r;

        if (!of_images(AT_FDCWD, path))
                return (int)syscall(SYS_mknodat, AT_FDCWD, path, mode, device);
        if (place_open(path, &place) < 0)
                return -1;
        r = (int)syscall(SYS_mknodat, place.dir, place.name, mode, device);
        return place_close(&place, r < 0 ? r : note(&place, mode & S_IFMT));
}

int paths_symlink(const char *target, const char *path) {
        Place place;
        int r;

        if (!of_images(AT_FDCWD, path))
                return (int)syscall(SYS_symlinkat, target, AT_FDCWD, path);
        if (place_open(path, &place) < 0)
                return -1;
        r = (int)syscall(SYS_symlinkat, target, place.dir, place.name);
        return place_close(&place, r < 0 ? r : note(&place, S_IFLNK));
}

int paths_chown(int dir_fd, const char *path, uid_t uid, gid_t gid, int flags) {
        char magic[32];
        Place place;
        int fd, r = -1;

        if (!of_images(dir_fd, path))
                return (int)syscall(SYS_fchownat, dir_fd, path, uid, gid, flags);
        if (place_open(path, &place) < 0)
                return -1;
        fd = open_made(&place, magic);
        if (fd >= 0) {
                r = (int)syscall(SYS_fchownat, fd, "", uid, gid, AT_EMPTY_PATH);
                (void)close_keeping_errno(fd);
        }
        return place_close(&place, r);
}

int paths_chmod(int dir_fd, const char *path, mode_t mode, int flags) {
        char magic[32];
        Place place;
        int fd, r = -1;

        (void)flags; /* libc knows none that could be meant here */
        if (!of_images(dir_fd, path))
                return (int)syscall(SYS_fchmodat, dir_fd, path, mode);
        if (place_open(path, &place) < 0)
                return -1;
        fd = open_made(&place, magic);
        if (fd >= 0) {
                r = (int)syscall(SYS_fchmodat, AT_FDCWD, magic, mode);
                (void)close_keeping_errno(fd);
        }
        return place_close(&place, r);
}

int paths_utimens(const char *path, const struct timespec times[2]) {
        Place place;

        if (!of_images(AT_FDCWD, path))
                return (int)syscall(SYS_utimensat, AT_FDCWD, path, times, AT_SYMLINK_NOFOLLOW);
        if (place_open(path, &place) < 0)
                return -1;
        return place_close(&place,
                           (int)syscall(SYS_utimensat, place.dir, place.name, times, AT_SYMLINK_NOFOLLOW));
}

/* The name in a socket's address, or NULL if it has none that could be led elsewhere. */
static const char *socket_path(const struct sockaddr *address, socklen_t size,
                               char path[static sizeof((struct sockaddr_un *)0)->sun_path + 1]) {
        const size_t head = offsetof(struct sockaddr_un, sun_path),
                     room = sizeof((struct sockaddr_un *)0)->sun_path;
        size_t n = size > head ? size - head : 0;

        if (n == 0 || address->sa_family != AF_UNIX)
                return NULL;
        memcpy(path, ((const struct sockaddr_un *)address)->sun_path, n > room ? room : n);
        path[n > room ? room : n] = '\0';
        return path[0] == '/' && of_images(AT_FDCWD, path) ? path : NULL;
}

/* The kernel walks the name itself, and others will see it: so it is looked at before and after. */
int paths_bind(int fd, const struct sockaddr *address, socklen_t size) {
        char buffer[sizeof((struct sockaddr_un *)0)->sun_path + 1];
        const char *path = socket_path(address, size, buffer);
        Place place;
        int r;

        if (!path)
                return (int)syscall(SYS_bind, fd, address, size);
        if (place_open(path, &place) < 0)
                return -1;
        r = (int)syscall(SYS_bind, fd, address, size);
        return place_close(&place, r < 0 ? r : note(&place, S_IFSOCK));
}

int paths_connect(int fd, const struct sockaddr *address, socklen_t size) {
        char buffer[sizeof((struct sockaddr_un *)0)->sun_path + 1];
        const char *path = socket_path(address, size, buffer);
        struct sockaddr_un there = {.sun_family = AF_UNIX};
        int held, r = -1;
        Place place;

        if (!path)
                return (int)syscall(SYS_connect, fd, address, size);
        if (place_open(path, &place) < 0)
                return -1;
        held = raw_openat(place.dir, place.name, O_PATH | O_NOFOLLOW | O_CLOEXEC, 0);
        if (held >= 0) {
                snprintf(there.sun_path, sizeof there.sun_path, "/proc/self/fd/%d", held);
                r = (int)syscall(SYS_connect, fd, &there, sizeof there);
                (void)close_keeping_errno(held);
        }
        return place_close(&place, r);
}

/* SPDX-License-Identifier: GPL-2.0-or-later */

/* A name that begins with /dev/, /proc/ or /sys/ says nothing of where it leads: `..` leads out of there,
 * and /dev/shm is everybody's. */

#include "criu-walk.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/syscall.h>
#include <unistd.h>

#define LINKS_MAX 40 /* the kernel's own */

typedef struct Way {
        int dir; /* where it has come to */
        int links;
        bool roots_alone;
        char rest[PATH_MAX];
} Way;

int raw_openat(int dir_fd, const char *name, int flags, mode_t mode) {
        return (int)syscall(SYS_openat, dir_fd, name, flags, mode);
}

int close_keeping_errno(int fd) {
        int saved = errno;

        close(fd);
        errno = saved;
        return -1;
}

static int fails(int error) {
        errno = error;
        return -1;
}

static long type_of(int dir) {
        struct statfs fs;

        return fstatfs(dir, &fs) == 0 ? (long)fs.f_type : 0;
}

bool is_root(int dir_fd) {
        struct stat root, st;

        return dir_fd >= 0 && fstat(dir_fd, &st) == 0 && stat("/", &root) == 0 && st.st_dev == root.st_dev &&
               st.st_ino == root.st_ino;
}

static bool is_on(dev_t device, const char *path) {
        struct stat st;

        return stat(path, &st) == 0 && st.st_dev == device;
}

static bool is_systems_own(int dir, const struct stat *st) {
        static const char *const tops[] = {"/", "/usr", "/var", "/run", "/dev"};
        long type = type_of(dir);

        for (size_t i = 0; i < sizeof tops / sizeof *tops; i++)
                if (is_on(st->st_dev, tops[i]))
                        return true;
        return type == PROC_SUPER_MAGIC || type == SYSFS_MAGIC;
}

/* Goes on in this directory. */
static int enter(Way *way, int dir) {
        struct stat st;

        if (way->dir >= 0)
                (void)close_keeping_errno(way->dir);
        way->dir = dir;
        if (dir < 0 || fstat(dir, &st) < 0)
                return -1;
        way->roots_alone &= st.st_uid == 0 && !(st.st_mode & (S_IWGRP | S_IWOTH));
        return 0;
}

/* What the link says comes before the rest of the way. */
static int follow(Way *way, int link, const struct stat *st, const char *behind) {
        char target[PATH_MAX], joined[2 * PATH_MAX];
        struct stat around;
        ssize_t n;

        if (--way->links < 0 || st->st_uid != 0 || !way->roots_alone || fstat(way->dir, &around) < 0 ||
            !is_systems_own(way->dir, &around))
                return fails(ELOOP);
        n = readlinkat(link, "", target, sizeof target - 1);
        if (n <= 0)
                return -1;
        target[n] = '\0';
        if (target[0] == '/' && type_of(way->dir) == PROC_SUPER_MAGIC)
                return fails(ELOOP);
        if (snprintf(joined, sizeof joined, "%s/%s", target, behind) >= PATH_MAX)
                return fails(ENAMETOOLONG);
        strcpy(way->rest, joined);
        return target[0] == '/' ? enter(way, raw_openat(AT_FDCWD, "/", O_PATH | O_DIRECTORY | O_CLOEXEC, 0))
                                : 0;
}

/* By O_DIRECTORY first, which has a file system mounted that waits for that. */
static int step(Way *way, const char *name, const char *behind) {
        int fd = raw_openat(way->dir, name, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC, 0), r;
        struct stat st;

        if (fd >= 0) {
                memmove(way->rest, behind, strlen(behind) + 1);
                return enter(way, fd);
        }
        if (errno != ENOTDIR)
                return -1;
        fd = raw_openat(way->dir, name, O_PATH | O_NOFOLLOW | O_CLOEXEC, 0);
        if (fd < 0)
                return -1;
        if (fstat(fd, &st) < 0)
                return close_keeping_errno(fd);
        r = S_ISLNK(st.st_mode) ? follow(way, fd, &st, behind) : fails(ENOTDIR);
        (void)close_keeping_errno(fd);
        return r;
}

/* Answer 1: it has arrived. */
static int go_on(Way *way, char name[static NAME_MAX + 1]) {
        const char *begin = way->rest + strspn(way->rest, "/"), *behind;
        size_t n = strcspn(begin, "/");

        if (n == 0 || n > NAME_MAX)
                return fails(n ? ENAMETOOLONG : EINVAL);
        memcpy(name, begin, n);
        name[n] = '\0';
        behind = begin + n + strspn(begin + n, "/");
        return *behind ? step(way, name, behind) : 1;
}

int by_inode_place_open(int dir_fd, const char *path, Place *ret) {
        Way way = {.dir = -1, .links = LINKS_MAX};
        int r;

        if (!path[0] || strlen(path) >= sizeof way.rest)
                return fails(path[0] ? ENAMETOOLONG : ENOENT);
        strcpy(way.rest, path);
        way.roots_alone = path[0] == '/' || is_root(dir_fd); /* how others came to be open is not known */
        r = enter(&way, raw_openat(path[0] == '/' ? AT_FDCWD : dir_fd, path[0] == '/' ? "/" : ".",
                                   O_PATH | O_DIRECTORY | O_CLOEXEC, 0));
        while (r == 0)
                r = go_on(&way, ret->name);
        if (r < 0)
                return way.dir < 0 ? -1 : close_keeping_errno(way.dir);
        ret->dir = way.dir;
        ret->roots_alone = way.roots_alone;
        return 0;
}

int place_close(Place *place, int r) {
        (void)close_keeping_errno(place->dir);
        return r;
}

bool place_in_proc(const Place *place) {
        return type_of(place->dir) == PROC_SUPER_MAGIC;
}

/* devtmpfs calls itself a tmpfs, as /dev/shm does, or a ramfs: it is what /dev is of, unless that is no
 * mount at all. */
bool place_in_devices(const Place *place) {
        long type = type_of(place->dir);
        struct stat st;

        if (type == SYSFS_MAGIC || type == DEVPTS_SUPER_MAGIC)
                return true;
        return (type == TMPFS_MAGIC || (unsigned)type == RAMFS_MAGIC) && place->roots_alone &&
               fstat(place->dir, &st) == 0 && is_on(st.st_dev, "/dev") && !is_on(st.st_dev, "/");
}

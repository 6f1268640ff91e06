/* SPDX-License-Identifier: GPL-2.0-or-later */

#include "sys/by-inode.h"

#include "base/cleanup.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

void place_done(Place *place) {
        place->dir_fd = fd_close(place->dir_fd);
}

bool place_open(const char *path, Place *ret) {
        _cleanup_(closep) int root = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);
        const char *slash = strrchr(path, '/');
        _cleanup_(freep) char *directory = NULL;

        if (path[0] != '/' || !slash[1])
                return false;
        directory = slash > path ? strndup(path + 1, (size_t)(slash - path - 1)) : strdup(".");
        if (root < 0 || !directory)
                return false;
        ret->name = slash + 1;
        ret->dir_fd = open_beneath(root, directory, O_RDONLY | O_DIRECTORY, 0);
        return ret->dir_fd >= 0;
}

static int open_if_it_is(int dir_fd, const char *name, uint64_t inode) {
        _cleanup_(closep) int fd = openat(dir_fd, name, O_PATH | O_NOFOLLOW | O_CLOEXEC);
        struct stat st;

        if (fd < 0 || fstat(fd, &st) < 0 || !S_ISREG(st.st_mode) || st.st_ino != inode)
                return -ENOENT;
        return TAKE_FD(fd);
}

int file_by_inode(const char *path, uint64_t inode) {
        _cleanup_(place_done) Place place = PLACE_NONE;
        _cleanup_(closedirp) DIR *d = NULL;
        struct dirent *e;
        int fd;

        if (!place_open(path, &place))
                return -ENOENT;
        fd = open_if_it_is(place.dir_fd, place.name, inode);
        if (fd >= 0)
                return fd;
        fd = openat(place.dir_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        d = fd < 0 ? NULL : fdopendir(fd);
        if (!d) {
                fd_close(fd);
                return -ENOENT;
        }
        while ((e = readdir(d)))
                if (e->d_ino == inode && (fd = open_if_it_is(place.dir_fd, e->d_name, inode)) >= 0)
                        return fd;
        return -ENOENT;
}

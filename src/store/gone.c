/* SPDX-License-Identifier: GPL-2.0-or-later */

/* What is in gone/ is nobody's any more, whoever put it there and whenever. */

#include "store/gone.h"

#include "base/cleanup.h"
#include "base/err.h"
#include "base/fd.h"
#include "base/text.h"

#include <dirent.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* One tree is gone so often before the store is looked at only if something is very wrong. */
#define MAX_SAME 1000u

static int open_below(int dir_fd, const char *name) {
        int fd = openat(dir_fd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);

        return fd < 0 ? err_born(-errno, "cannot open the directory %s in the store", name) : fd;
}

static int open_gone(int store_fd) {
        if (mkdirat(store_fd, "gone", 0700) < 0 && errno != EEXIST)
                return err_born(-errno, "cannot create the directory gone in the store");
        return open_below(store_fd, "gone");
}

int gone_directory(int store_fd, int from_fd, const char *name) {
        _cleanup_(closep) int gone = -1;
        char place[NAME_MAX + 1];
        int r = -EEXIST;

        if (faccessat(from_fd, name, F_OK, AT_SYMLINK_NOFOLLOW) < 0)
                return errno == ENOENT ? 0 : err_born(-errno, "cannot stat %s", name);
        gone = open_gone(store_fd);
        if (gone == -ENOSPC) /* as in gone_images() */
                return err_pass(file_remove_tree(from_fd, name));
        if (gone < 0)
                return err_pass(gone);
        for (unsigned i = 0; r == -EEXIST && i < MAX_SAME; i++) {
                snprintf(place, sizeof place, "%s.%u", name, i);
                r = renameat2(from_fd, name, gone, place, RENAME_NOREPLACE) < 0 ? -errno : 0;
        }
        return r < 0 ? err_born(r, "cannot move the images of %s to the directory gone", name) : 0;
}

/* to_fd -1: nowhere. */
static int move_images(int dir_fd, int to_fd) {
        _cleanup_(closedirp) DIR *d = NULL;
        struct dirent *e;
        int fd = open_below(dir_fd, "."), n = 0;

        d = fd < 0 ? NULL : fdopendir(fd);
        if (!d) {
                fd_close(fd);
                return err_born(-errno, "cannot list the images");
        }
        while ((e = readdir(d))) {
                if (!ends_with(e->d_name, ".img"))
                        continue;
                if ((to_fd < 0 ? unlinkat(dir_fd, e->d_name, 0)
                               : renameat(dir_fd, e->d_name, to_fd, e->d_name)) < 0)
                        return err_born(-errno, "cannot move image %s to the directory gone", e->d_name);
                n++;
        }
        return n;
}

/* A fresh directory for the images of that name. */
static int make_place(int store_fd, const char *name, char place[static NAME_MAX + 1]) {
        _cleanup_(closep) int gone = open_gone(store_fd);
        int r = -EEXIST;

        if (gone < 0)
                return err_pass(gone);
        for (unsigned i = 0; r == -EEXIST && i < MAX_SAME; i++) {
                snprintf(place, NAME_MAX + 1, "%s.%u", name, i);
                r = mkdirat(gone, place, 0700) < 0 ? -errno : 0;
        }
        return r < 0 ? err_born(r, "cannot move the images of %s to the directory gone", name)
                     : open_below(gone, place);
}

int gone_images(int store_fd, int dir_fd, const char *name) {
        _cleanup_(closep) int gone = -1, to = -1;
        char place[NAME_MAX + 1];
        int r;

        to = make_place(store_fd, name, place);
        if (to ==
            -ENOSPC) /* what must be noted needs the room more than the images need to be overwritten */
                r = move_images(dir_fd, -1);
        else
                r = to < 0 ? to : move_images(dir_fd, to);
        if (r == 0 && to >= 0 && (gone = open_gone(store_fd)) >= 0)
                (void)unlinkat(gone, place, AT_REMOVEDIR);
        return r < 0 ? err_pass(r) : 0;
}

int gone_each(int dir_fd, const char *name, int (*each)(int fd, const struct dirent *e, void *userdata),
              void *userdata) {
        _cleanup_(closedirp) DIR *d = NULL;
        struct dirent *e;
        int fd = openat(dir_fd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC), r = 0;

        if (fd < 0 && errno == ENOENT)
                return 0;
        d = fd < 0 ? NULL : fdopendir(fd);
        if (!d) {
                fd_close(fd);
                return err_born(-errno, "cannot list %s in the store", name);
        }
        while (r == 0 && (e = readdir(d)))
                if (strcmp(e->d_name, ".") != 0 && strcmp(e->d_name, "..") != 0)
                        r = each(dirfd(d), e, userdata);
        return r;
}

/* Counting. */

/* failed/ID/NAME/ is the deepest; anything further down is none of ours. */
#define MAX_DEPTH 4u

typedef struct Count {
        uint64_t bytes;
        unsigned depth;
} Count;

static int count_entry(int dir_fd, const struct dirent *e, void *userdata) {
        Count *c = userdata;
        struct stat st;
        int r = 0;

        if (fstatat(dir_fd, e->d_name, &st, AT_SYMLINK_NOFOLLOW) < 0)
                return errno == ENOENT ? 0 : err_born(-errno, "cannot stat %s in the store", e->d_name);
        c->bytes += (uint64_t)st.st_blocks * 512;
        if (!S_ISDIR(st.st_mode) || c->depth == MAX_DEPTH)
                return 0;
        c->depth++;
        r = gone_each(dir_fd, e->d_name, count_entry, c);
        c->depth--;
        return r;
}

int gone_bytes(int store_fd, uint64_t *ret) {
        Count c = {0};
        int r = gone_each(store_fd, ".", count_entry, &c);

        if (r < 0)
                return err_pass(r);
        *ret = c.bytes;
        return 0;
}

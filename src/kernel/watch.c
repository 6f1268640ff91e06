/* SPDX-License-Identifier: GPL-2.0-or-later */

/* A handle is looked up in the file system that the line names, so a mount of that is opened first. Only of
 * those that are in memory or have /tmp: else each of thousands of watches would be a look at a disk. */

#include "kernel/watch.h"

#include "base/cleanup.h"
#include "base/fd.h"
#include "base/text.h"
#include "model/model.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#define MINOR_BITS 20 /* include/linux/kdev_t.h */

typedef struct Watch {
        unsigned major, minor;
        struct {
                struct file_handle head;
                unsigned char bytes[MAX_HANDLE_SZ];
        } handle;
} Watch;

static int nibble(char c) {
        const char *digits = "0123456789abcdef", *at = c ? strchr(digits, c) : NULL;

        return at ? (int)(at - digits) : -1;
}

static bool parse_bytes(const char *text, unsigned char *bytes, size_t n) {
        for (size_t i = 0; i < n; i++) {
                int high = nibble(text[2 * i]), low = high < 0 ? -1 : nibble(text[2 * i + 1]);

                if (low < 0)
                        return false;
                bytes[i] = (unsigned char)(high << 4 | low);
        }
        return true;
}

/* "inotify wd:1 ino:2a sdev:16 mask:100 ignored_mask:0 fhandle-bytes:c fhandle-type:1 f_handle:..."; not all
 * file systems have handles. */
static bool parse(const char *line, Watch *ret) {
        const char *dev = strstr(line, " sdev:"), *handle = strstr(line, " fhandle-bytes:"),
                   *bytes = strstr(line, " f_handle:");
        unsigned device, size, type;
        Watch watch = {0};

        if (!dev || !handle || !bytes || sscanf(dev, " sdev:%x", &device) != 1 ||
            sscanf(handle, " fhandle-bytes:%x fhandle-type:%x", &size, &type) != 2 || size == 0 ||
            size > sizeof watch.handle.bytes || type > INT_MAX)
                return false;
        watch.major = device >> MINOR_BITS;
        watch.minor = device & ((1u << MINOR_BITS) - 1);
        watch.handle.head.handle_bytes = size;
        watch.handle.head.handle_type = (int)type;
        *ret = watch;
        return parse_bytes(bytes + strlen(" f_handle:"), ret->handle.bytes, size);
}

/* The mount whose root may forget files; NULL: the next boot has all of it. */
static const MountLine *mount_of(const Mounts *mounts, const Watch *watch) {
        const MountLine *mount = mounts_by_device(mounts, watch->major, watch->minor),
                        *tmp = mounts_by_path(mounts, "/tmp/");

        if (mount && mount->is_volatile)
                return mount->is_elsewhere ? NULL : mount;
        return tmp && tmp->major == watch->major && tmp->minor == watch->minor && !tmp->is_remote &&
                                               !tmp->is_elsewhere
                               ? tmp
                               : NULL;
}

/* Answer NULL: nothing is to be said of it. */
static char *path_of(const MountLine *mount, Watch *watch) {
        _cleanup_(closep) int root = -1, fd = -1;
        char link[FD_LINK_SIZE], path[PATH_MAX];
        struct stat st;
        ssize_t l;

        root = open(mount->at.point, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
        if (root < 0 || fstat(root, &st) < 0 ||
            (mount->is_volatile && st.st_dev != makedev(watch->major, watch->minor)))
                return NULL; /* covered by another mount */
        fd = open_by_handle_at(root, &watch->handle.head, O_PATH | O_CLOEXEC);
        if (fd < 0 || fstat(fd, &st) < 0 || S_ISDIR(st.st_mode) || st.st_nlink == 0)
                return NULL;
        l = readlink(fd_link(fd, link), path, sizeof path - 1);
        path[l < 0 ? 0 : l] = '\0';
        return path[0] == '/' ? strdup(path) : NULL;
}

static int add(const char *line, const Mounts *mounts, WatchRoom *left, char ***paths, size_t *n_paths) {
        _cleanup_(freep) char *path = NULL;
        const MountLine *mount;
        Watch watch;
        size_t size;
        int r;

        if (left->watches == 0)
                return -E2BIG;
        left->watches--;
        mount = parse(line, &watch) ? mount_of(mounts, &watch) : NULL;
        path = mount ? path_of(mount, &watch) : NULL;
        if (!path || !mount_forgets(mount, path))
                return 0;
        size = strlen(path) + 1;
        if (size > left->bytes)
                return -E2BIG;
        left->bytes -= size;
        r = model_append(*paths, *n_paths, path);
        if (r >= 0)
                path = NULL;
        return r;
}

int watches_read(int fdinfo, const Mounts *mounts, WatchRoom *left, void (*step)(void), char ***paths,
                 size_t *n_paths) {
        _cleanup_(fclosep) FILE *file = fdopen(fdinfo, "r");
        _cleanup_(freep) char *line = NULL;
        size_t room = 0;
        int r = 0;

        if (!file) {
                (void)fd_close(fdinfo);
                return -ENOMEM;
        }
        while (r >= 0 && getline(&line, &room, file) > 0) {
                if (!starts_with(line, "inotify "))
                        continue;
                step();
                r = add(line, mounts, left, paths, n_paths);
        }
        return r >= 0 && ferror(file) ? -EIO : r;
}

/* SPDX-License-Identifier: GPL-2.0-or-later */

/* A block that is allocated and not written yet is written in place by each file system that can allocate so
 * (ext4, xfs, btrfs), which a block that was written is not everywhere: so nothing is written into a room
 * before it is needed. */

#include "files/space.h"

#include "base/cleanup.h"
#include "base/err.h"
#include "base/fd.h"

#include <fcntl.h>
#include <limits.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

typedef struct RoomName {
        char text[NAME_MAX + 1];
} RoomName;

static const char *room_name(const char *name, RoomName *buffer) {
        snprintf(buffer->text, sizeof buffer->text, "%s.room", name);
        return buffer->text;
}

int space_make(int dir_fd, const char *name, size_t size) {
        _cleanup_(closep) int fd = -1;
        RoomName buffer;
        struct stat st;
        bool made;
        int r = 0;

        made = faccessat(dir_fd, room_name(name, &buffer), F_OK, AT_SYMLINK_NOFOLLOW) < 0;
        fd = openat(dir_fd, buffer.text, O_WRONLY | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600);
        if (fd < 0 || fstat(fd, &st) < 0)
                return err_born(-errno, "cannot reserve space in the store");
        if ((uint64_t)st.st_size >= size)
                return made;
        r = -posix_fallocate(fd, 0, (off_t)size);
        if (r < 0)
                space_remove(dir_fd, name);
        return r < 0 ? err_born(r, "cannot reserve space in the store") : 1;
}

int space_sync(int dir_fd, const char *name) {
        _cleanup_(closep) int fd = -1;
        RoomName buffer;

        fd = openat(dir_fd, room_name(name, &buffer), O_WRONLY | O_NOFOLLOW | O_CLOEXEC);
        if (fd < 0 || fsync(fd) < 0)
                return err_born(-errno, "cannot sync reserved space in the store to disk");
        return 0;
}

void space_remove(int dir_fd, const char *name) {
        RoomName buffer;

        (void)unlinkat(dir_fd, room_name(name, &buffer), 0);
}

static int room_use(int dir_fd, const char *name, const void *data, size_t size) {
        _cleanup_(closep) int fd = -1;
        RoomName buffer;
        struct stat st;
        int r;

        fd = openat(dir_fd, room_name(name, &buffer), O_WRONLY | O_NOFOLLOW | O_CLOEXEC);
        if (fd < 0 || fstat(fd, &st) < 0 || (uint64_t)st.st_size < size)
                return -ENOSPC;
        r = fd_write_all(fd, data, size);
        if (r < 0)
                return r;
        if (ftruncate(fd, (off_t)size) < 0 || fsync(fd) < 0 ||
            renameat(dir_fd, buffer.text, dir_fd, name) < 0 || fsync(dir_fd) < 0)
                return -errno;
        return 0;
}

int space_replace(int dir_fd, const char *name, const void *data, size_t size) {
        int r = file_replace(dir_fd, name, data, size);
        ErrRecord kept;

        if (r != -ENOSPC && r != -EDQUOT)
                return r < 0 ? err_pass(r) : 0;
        kept = err_keep();
        if (room_use(dir_fd, name, data, size) >= 0)
                return 0;
        err_put_back(&kept);
        return err_pass(r);
}

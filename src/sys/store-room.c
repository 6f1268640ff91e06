/* SPDX-License-Identifier: GPL-2.0-or-later */

/* What is taken early is taken while the save can still be refused. */

#include "sys/store-room.h"

#include "base/cleanup.h"
#include "base/err.h"
#include "base/fd.h"
#include "sys/room.h"
#include "sys/store-gone.h"

#include <fcntl.h>
#include <limits.h>
#include <linux/magic.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/statvfs.h>
#include <unistd.h>

/* What others write until the next boot is through, logs above all: a twentieth of the file system, and more
 * than that much nobody writes in a reboot. */
#define HEADROOM_PART 20u
#define HEADROOM_MAX  (UINT64_C(1) << 30)

/* What a restore adds to a tree: how it ended, why, what it came back without. */
#define ROOM_SLACK 32768u

int store_space(const Store *store, StoreSpace *ret) {
        StoreSpace space = {0};
        struct statvfs v;
        uint64_t headroom;
        int r;

        if (fstatvfs(store->fd, &v) < 0)
                return err_born(-errno, "cannot ask for the space in %s", store->path);
        r = gone_bytes(store->fd, &space.used);
        if (r < 0)
                return err_pass(r);
        space.size = (uint64_t)v.f_blocks * v.f_frsize;
        space.free = (uint64_t)v.f_bavail * v.f_frsize;
        headroom = space.size / HEADROOM_PART;
        if (headroom > HEADROOM_MAX)
                headroom = HEADROOM_MAX;
        space.free -= space.free < headroom ? space.free : headroom;
        *ret = space;
        return 0;
}

int store_lasts(const Store *store) {
        struct statfs fs;

        if (fstatfs(store->fd, &fs) < 0)
                return err_born(-errno, "cannot ask what %s lies on", store->path);
        if (fs.f_type != TMPFS_MAGIC && fs.f_type != RAMFS_MAGIC)
                return 0;
        return err_say(-EOPNOTSUPP,
                       "the store %s is in memory, which no reboot leaves as it is: set Store= in "
                       "carryover.conf(5) to a directory on a disk",
                       store->path);
}

int store_tree_reserve(int images_fd, const Tree *tree) {
        size_t size = tree__get_packed_size(tree) + ROOM_SLACK;
        int r = room_make(images_fd, "begun", 0);

        if (r >= 0)
                r = room_make(images_fd, "runs", size);
        if (r >= 0)
                r = room_make(images_fd, "done", size);
        return r < 0 ? err_pass(r) : 0;
}

/* Where store_tree_fail() will put what does not come back. */
static int reserve_failed(const Store *store, const char *ticket_id) {
        _cleanup_(closep) int fd = -1;

        if (mkdirat(store->fd, "failed", 0700) < 0 && errno != EEXIST)
                return err_born(-errno, "cannot make the directory failed in the store");
        fd = openat(store->fd, "failed", O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
        if (fd < 0 || (mkdirat(fd, ticket_id, 0700) < 0 && errno != EEXIST) || fsync(fd) < 0)
                return err_born(-errno, "cannot make a directory below failed in the store");
        return 0;
}

static int reserve_tree(const Store *store, const Tree *tree) {
        char path[NAME_MAX + 16];
        _cleanup_(closep) int fd = -1;
        int r;

        snprintf(path, sizeof path, "save/%s", tree->name);
        fd = openat(store->fd, path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
        if (fd < 0)
                return errno == ENOENT ? 0 : err_born(-errno, "cannot open the images of %s", tree->name);
        r = store_tree_reserve(fd, tree);
        if (r >= 0 && fsync(fd) < 0)
                r = err_born(-errno, "cannot bring the images of %s to disk", tree->name);
        return r < 0 ? err_pass(r) : 0;
}

int store_reserve(const Store *store, const Ticket *ticket) {
        size_t size = ticket__get_packed_size(ticket) + (ticket->n_trees + 1) * ROOM_SLACK;
        int r = reserve_failed(store, ticket->id);

        for (size_t i = 0; r >= 0 && i < ticket->n_trees; i++)
                if (!ticket->trees[i]->outcome)
                        r = reserve_tree(store, ticket->trees[i]);
        if (r >= 0)
                r = room_make(store->fd, "report", size);
        if (r >= 0)
                r = room_make(store->fd, "ticket", size);
        return r < 0 ? err_pass(r) : 0;
}

void store_unreserve(const Store *store, const char *ticket_id) {
        char path[NAME_MAX + 16];

        room_remove(store->fd, "report");
        room_remove(store->fd, "ticket");
        snprintf(path, sizeof path, "failed/%s", ticket_id);
        if (unlinkat(store->fd, path, AT_REMOVEDIR) >= 0)
                (void)unlinkat(store->fd, "failed", AT_REMOVEDIR);
}

/* SPDX-License-Identifier: GPL-2.0-or-later */

/* What is taken early is taken while the save can still be refused. */

#include "store/room.h"

#include "base/cleanup.h"
#include "base/err.h"
#include "base/fd.h"
#include "files/space.h"
#include "store/gone.h"

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
/* And the save before it, from when its trees are known: images, connections, what lies outside. */
#define EARLY_SLACK (4 * ROOM_SLACK)

int store_space(const Store *store, StoreSpace *ret) {
        StoreSpace space = {0};
        struct statvfs v;
        uint64_t headroom;
        int r;

        if (fstatvfs(store->fd, &v) < 0)
                return err_born(-errno, "cannot determine the free space in %s", store->path);
        r = store->absent ? 0 : gone_bytes(store->fd, &space.used);
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
                return err_born(-errno, "cannot determine the file system of %s", store->path);
        if (fs.f_type != TMPFS_MAGIC && (unsigned)fs.f_type != RAMFS_MAGIC)
                return 0;
        return err_say(-EOPNOTSUPP,
                       "the store %s is in memory and would not survive a reboot: set Store= in "
                       "carryover.conf(5) to a directory on a disk",
                       store->path);
}

int store_tree_reserve(int images_fd, const Tree *tree) {
        size_t size = tree__get_packed_size(tree) + ROOM_SLACK;
        const struct {
                const char *name;
                size_t size;
        } rooms[] = {{"begun", 0}, {"runs", size}, {"done", size}};
        int made = 0;

        for (size_t i = 0; i < ELEMENTS(rooms); i++) {
                int r = space_make(images_fd, rooms[i].name, rooms[i].size);

                if (r < 0)
                        return err_pass(r);
                made |= r;
        }
        return made;
}

/* Where store_tree_fail() will put what does not come back. */
static int reserve_failed(const Store *store, const char *ticket_id) {
        _cleanup_(closep) int fd = -1;

        if (mkdirat(store->fd, "failed", 0700) < 0 && errno != EEXIST)
                return err_born(-errno, "cannot create the directory failed in the store");
        fd = openat(store->fd, "failed", O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
        if (fd < 0)
                return err_born(-errno, "cannot open the directory failed in the store");
        if (mkdirat(fd, ticket_id, 0700) < 0)
                return errno == EEXIST ? 0 /* and durable */
                                       : err_born(-errno,
                                                  "cannot create a directory below failed in the store");
        return fsync(fd) < 0 ? err_born(-errno, "cannot sync the directory failed in the store to disk") : 0;
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
        return err_pass(r > 0 ? sync_tree(fd) : r);
}

static int reserve_note(const Store *store, const char *name, size_t size) {
        int r = space_make(store->fd, name, size);

        return err_pass(r > 0 ? space_sync(store->fd, name) : r);
}

int store_reserve(const Store *store, const Ticket *ticket, bool early) {
        size_t size = ticket__get_packed_size(ticket) +
                      (ticket->n_trees + 1) * (early ? EARLY_SLACK : ROOM_SLACK);
        int r = reserve_failed(store, ticket->id);

        for (size_t i = 0; !early && r >= 0 && i < ticket->n_trees; i++)
                if (!ticket->trees[i]->outcome)
                        r = reserve_tree(store, ticket->trees[i]);
        if (r >= 0)
                r = reserve_note(store, "report", size);
        if (r >= 0)
                r = reserve_note(store, "ticket", size);
        return r < 0 ? err_pass(r) : 0;
}

void store_unreserve(const Store *store, const char *ticket_id) {
        char path[NAME_MAX + 16];

        space_remove(store->fd, "report");
        space_remove(store->fd, "ticket");
        snprintf(path, sizeof path, "failed/%s", ticket_id);
        if (unlinkat(store->fd, path, AT_REMOVEDIR) >= 0)
                (void)unlinkat(store->fd, "failed", AT_REMOVEDIR);
}

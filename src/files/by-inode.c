/* SPDX-License-Identifier: GPL-2.0-or-later */

#include "files/by-inode.h"

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/err.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

void by_inode_place_done(Place *place) {
        place->dir_fd = fd_close(place->dir_fd);
}

bool by_inode_place_open(const char *path, Place *ret) {
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

int by_inode_open(int dir_fd, const char *name, uint64_t inode) {
        _cleanup_(closep) int fd = openat(dir_fd, name, O_PATH | O_NOFOLLOW | O_CLOEXEC);
        struct stat st;

        if (fd < 0 || fstat(fd, &st) < 0 || !S_ISREG(st.st_mode) || st.st_ino != inode)
                return -ENOENT;
        return TAKE_FD(fd);
}

/* A shutdown and a boot wait for it: a few seconds are what neither notices. */
#define SWEEP_USEC (3 * USEC_PER_SEC)

/* The largest directories of a system have some ten thousand names. */
#define SWEEP_ENTRIES 262144u

Sweep by_inode_sweep_begin(void) {
        return (Sweep){.usec = SWEEP_USEC, .max_entries = SWEEP_ENTRIES};
}

int by_inode_sweep_end(const Sweep *sweep) {
        return sweep->cut ? err_say(-ETIMEDOUT,
                                    "the directories of the session's files have too many entries to search")
                          : 0;
}

static size_t directory_length(const char *path) {
        const char *slash = strrchr(path, '/');

        return slash ? (size_t)(slash - path) : 0;
}

static int by_directory(const void *a, const void *b) {
        const Sought *x = a, *y = b;
        size_t l = directory_length(x->path), m = directory_length(y->path);

        return l == m ? memcmp(x->path, y->path, l) : (l > m) - (l < m);
}

static int by_number(const void *a, const void *b) {
        const Sought *x = a, *y = b;

        return (x->inode > y->inode) - (x->inode < y->inode);
}

static int by_directory_and_number(const void *a, const void *b) {
        int r = by_directory(a, b);

        return r != 0 ? r : by_number(a, b);
}

const Sought *by_inode_sought(const Sought *sought, size_t n, uint64_t inode) {
        const Sought key = {.inode = inode};

        return n > 0 ? bsearch(&key, sought, n, sizeof key, by_number) : NULL;
}

static DIR *directory_of(const char *path) {
        _cleanup_(by_inode_place_done) Place place = PLACE_NONE;
        DIR *d = by_inode_place_open(path, &place) ? fdopendir(place.dir_fd) : NULL;

        if (d)
                place.dir_fd = -1; /* it is d's */
        return d;
}

typedef struct Bounds {
        uint64_t entries, deadline;
} Bounds;

/* Answer: all of it was read, or it is not there. */
static bool read_one(const Sought *sought, size_t n, Bounds *bounds, SoughtEntry entry) {
        _cleanup_(closedirp) DIR *d = directory_of(sought->path);
        struct dirent *e;

        while (d && (e = readdir(d))) {
                if (bounds->entries == 0 || now_monotonic() >= bounds->deadline)
                        return false;
                bounds->entries--;
                entry(dirfd(d), e, sought, n);
        }
        return true;
}

void by_inode_sweep(Sought *sought, size_t n, Sweep *sweep, SoughtEntry entry) {
        uint64_t begin = now_monotonic(), end;
        Bounds bounds = {.entries = sweep->max_entries, .deadline = begin + sweep->usec};
        bool cut = false;

        if (n > 0)
                qsort(sought, n, sizeof *sought, by_directory_and_number);
        for (size_t i = 0, k; i < n && !cut; i += k) {
                for (k = 1; i + k < n && by_directory(sought + i, sought + i + k) == 0; k++)
                        ;
                cut = !read_one(sought + i, k, &bounds, entry);
        }
        sweep->cut |= cut;
        end = now_monotonic();
        sweep->usec = end < bounds.deadline ? bounds.deadline - end : 0;
}

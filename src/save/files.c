/* SPDX-License-Identifier: GPL-2.0-or-later */

/*
 * CRIU saves no file that has a name: it opens the name again. In memory, and in /tmp, there is nothing to
 * open after the reboot. So what the tree has there goes along: open and mapped files and FIFOs, working
 * directories, and of a bound socket or a file without a name the directory alone, since CRIU makes those
 * two again. And directories that are watched by inotify.
 *
 * Content is read through the process's own descriptor, never by name: who can write in the directory could
 * else put a link to anybody's file there while we look.
 */

#include "save/files.h"

#include "base/cleanup.h"
#include "base/err.h"
#include "base/fd.h"
#include "base/file-set.h"
#include "base/text.h"
#include "files/pax.h"
#include "image/image.h"
#include "kernel/mounts.h"
#include "model/members.h"
#include "store/store.h"

#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* One name that must be there again. */
typedef struct Item {
        char *path;
        char source[64]; /* below /proc, leads to the file; empty: only its directory is needed */
} Item;

typedef struct Files {
        Item *items;
        size_t n;
        FileSet linked; /* what is in the archive and has other names */
        int root;
        Pax *pax;
} Files;

static void files_done(Files *x) {
        (void)pax_free(x->pax);
        for (size_t i = 0; i < x->n; i++)
                free(x->items[i].path);
        free(x->items);
        file_set_done(&x->linked);
        x->root = fd_close(x->root);
}

/* What is wanted. Takes the path. */
static int want(Files *x, char *path, const char *source) {
        Item item = {.path = path};
        int r;

        snprintf(item.source, sizeof item.source, "%s", source);
        r = path ? model_append(x->items, x->n, item) : -ENOMEM;
        if (r < 0)
                free(path);
        return r;
}

/* A socket's name is as the program wrote it: by /var/run, with slashes to spare. Where its directory is
 * gone it can be bound nowhere. */
static int want_socket(Files *x, const char *path) {
        const char *name = strrchr(path, '/');
        _cleanup_(freep) char *dir = strndup(path, (size_t)(name - path) + 1), *real = NULL;

        real = dir ? realpath(dir, NULL) : NULL;
        if (!real)
                return errno == ENOMEM ? -ENOMEM : 0;
        return want(x, text_format("%s%s", strcmp(real, "/") == 0 ? "" : real, name), "");
}

static int want_fd(Files *x, const Members *m, const SnapProcess *p, const SnapFd *f) {
        const char *name = snapshot_volatile_name(m->s, f);
        char source[64] = "";

        if (!name)
                return 0;
        if (f->kind == FD_UNIX)
                return want_socket(x, name);
        if (!f->deleted && f->fd < 0)
                snprintf(source, sizeof source, "/proc/%d/cwd", (int)p->pid);
        else if (!f->deleted)
                snprintf(source, sizeof source, "/proc/%d/fd/%d", (int)p->pid, f->fd);
        return want(x, strdup(name), source);
}

static int want_map(Files *x, const SnapProcess *p, const SnapMap *map) {
        char source[64] = "";

        if (!map->is_volatile)
                return 0;
        if (!map->deleted)
                snprintf(source, sizeof source, "/proc/%d/map_files/%" PRIx64 "-%" PRIx64, (int)p->pid,
                         map->from, map->to);
        return want(x, strdup(map->path), source);
}

/* Directories before what is in them, so a slash comes before all else; of one name that with a source
 * first. */
static int by_path(const void *a, const void *b) {
        const Item *x = a, *y = b;
        size_t i = 0;

        while (x->path[i] && x->path[i] == y->path[i])
                i++;
        if (x->path[i] == y->path[i])
                return !x->source[0] - !y->source[0];
        if (!x->path[i] || !y->path[i])
                return x->path[i] ? 1 : -1;
        if (x->path[i] == '/' || y->path[i] == '/')
                return x->path[i] == '/' ? -1 : 1;
        return (unsigned char)x->path[i] < (unsigned char)y->path[i] ? -1 : 1;
}

static void sort(Files *x) {
        if (x->n > 0)
                qsort(x->items, x->n, sizeof *x->items, by_path);
}

/* What a program watches must be there again under its name, and CRIU's image has that. Nobody need have it
 * open, so its content would have to be read by name: of a directory none is needed, and a file that is open
 * is in the list already. */
typedef struct Watching {
        Files *files;
        size_t n_sorted; /* its items that lead to something open, by_path() */
        Mounts mounts;
} Watching;

static void watching_done(Watching *watching) {
        mounts_done(&watching->mounts);
}

/* There may be thousands of either. */
static bool is_wanted(const Watching *watching, const char *path) {
        const Item key = {.path = (char *)path, .source = "x"};

        return watching->n_sorted > 0 &&
               bsearch(&key, watching->files->items, watching->n_sorted, sizeof key, by_path);
}

static int want_watched(const char *path, uint64_t ino, void *userdata) {
        Watching *watching = userdata;
        _cleanup_(closep) int fd = -1;
        struct stat st;

        if (path[0] != '/' || strlen(path) + 1 >= PATH_MAX)
                return err_say(-EBADMSG, "image files.img contains an invalid path of a watched file");
        if (!mount_forgets(mounts_by_path(&watching->mounts, path), path) || is_wanted(watching, path))
                return 0;
        fd = open_beneath(watching->files->root, path + 1, O_PATH | O_NOFOLLOW, 0);
        if (fd < 0 || fstat(fd, &st) < 0 || st.st_ino != ino)
                return err_say(-ESTALE,
                               "%s is watched (inotify) and exists only in memory, but no longer has this "
                               "name",
                               path);
        if (!S_ISDIR(st.st_mode))
                return err_say(-EPERM,
                               "%s is watched (inotify) and exists only in memory, but no process of the "
                               "tree has "
                               "it open",
                               path);
        return want(watching->files, text_format("%s/", path), "");
}

static int want_watches(Files *x, int images_fd) {
        _cleanup_(watching_done) Watching watching = {.files = x, .n_sorted = x->n};
        int r = mounts_read(&watching.mounts);

        if (r < 0)
                return err_pass(r);
        sort(x);
        r = image_watches(images_fd, want_watched, &watching);
        return r < 0 && r != -ENOENT ? err_pass(r) : 0; /* it is missed later (image_verify()) */
}

static int want_all(Files *x, const Snapshot *full, const Tree *tree, int images_fd) {
        _cleanup_(members_done) Members m = {0};
        int r = members_of(full, (pid_t)tree->root_pid, &m);

        for (size_t i = 0; r >= 0 && i < m.n; i++) {
                const SnapProcess *p = m.list[i];

                for (size_t k = 0; r >= 0 && k < p->n_fds; k++)
                        r = want_fd(x, &m, p, p->fds + k);
                for (size_t k = 0; r >= 0 && k < p->n_maps; k++)
                        r = want_map(x, p, p->maps + k);
        }
        if (r >= 0)
                r = want_watches(x, images_fd);
        if (r >= 0)
                sort(x);
        return r < 0 ? err_pass(r) : 0;
}

/* Into the archive. */

static int add(Files *x, const PaxEntry *entry, int fd) {
        int r = pax_add(x->pax, entry, fd);

        if (r == -EDQUOT)
                return err_say(r, "%s is larger than the space in the store that is left for the user",
                               entry->path);
        if (r == -E2BIG)
                return err_say(r,
                               "%s exceeds the limit of files and directories in memory or below /tmp for "
                               "one user (MaxFiles=)",
                               entry->path);
        return r < 0 ? err_pass(r) : 0;
}

/* Answer 1: it is gone. */
static int add_directory(Files *x, const char *path) {
        _cleanup_(closep) int fd = open_beneath(x->root, path + 1, O_PATH | O_DIRECTORY, 0);
        PaxEntry entry = {.path = path};

        if (fd == -ENOENT)
                return 1;
        if (fd < 0)
                return err_pass(fd);
        if (fstat(fd, &entry.st) < 0)
                return err_born(-errno, "cannot stat %s", path);
        return add(x, &entry, fd);
}

/* How much of `path` is a directory that the item before has brought already. */
static size_t known_part(const char *path, const Item *before) {
        size_t known = 0, i = 0;

        while (before && path[i] && path[i] == before->path[i])
                if (path[++i] == '/' && (before->path[i] == '/' || (!before->path[i] && before->source[0])))
                        known = i;
        return known;
}

/* What leads to a file that is deleted may be gone itself. */
static int add_parents(Files *x, const char *path, const Item *before) {
        char parent[PATH_MAX];

        for (size_t i = known_part(path, before) + 1; path[i]; i++) {
                int r;

                if (path[i] != '/')
                        continue;
                snprintf(parent, sizeof parent, "%.*s", (int)i, path);
                r = add_directory(x, parent);
                if (r != 0)
                        return r < 0 ? err_pass(r) : 0;
        }
        return 0;
}

/* The name leads to the very file: else CRIU would open another one at the restore. */
static int check_name(const Files *x, const char *path, const struct stat *st) {
        _cleanup_(closep) int fd = open_beneath(x->root, path + 1, O_PATH | O_NOFOLLOW, 0);
        struct stat named;

        if (fd < 0 || fstat(fd, &named) < 0 || named.st_dev != st->st_dev || named.st_ino != st->st_ino)
                return err_say(-ESTALE,
                               "%s is open and exists only in memory, but the file no longer has this name",
                               path);
        return 0;
}

/* For reading it must be opened, and O_PATH first says whether that is harmless: a FIFO would wake its
 * writers. */
static int open_content(int path_fd, const struct stat *st) {
        char link[FD_LINK_SIZE];

        return open(fd_link(path_fd, link),
                    S_ISREG(st->st_mode) ? O_RDONLY | O_NOATIME | O_CLOEXEC : O_PATH | O_CLOEXEC);
}

static int add_file(Files *x, const Item *item) {
        _cleanup_(closep) int path_fd = open(item->source, O_PATH | O_CLOEXEC), fd = -1;
        PaxEntry entry = {.path = item->path};
        int r;

        if (path_fd < 0 || fstat(path_fd, &entry.st) < 0)
                return err_born(-errno, "cannot stat %s", item->path);
        r = check_name(x, item->path, &entry.st);
        if (r < 0)
                return err_pass(r);
        fd = open_content(path_fd, &entry.st);
        if (fd < 0)
                return err_born(-errno, "cannot read %s", item->path);
        if (S_ISREG(entry.st.st_mode) && entry.st.st_nlink > 1) {
                entry.link = file_set_find(&x->linked, entry.st.st_dev, entry.st.st_ino);
                if (!entry.link)
                        r = file_set_add(&x->linked, entry.st.st_dev, entry.st.st_ino, item->path);
        }
        return r < 0 ? err_pass(r) : add(x, &entry, fd);
}

static int add_all(Files *x) {
        const Item *before = NULL;
        int r = 0;

        for (size_t i = 0; r >= 0 && i < x->n; i++) {
                const Item *item = x->items + i;

                if (before && strcmp(before->path, item->path) == 0)
                        continue;
                r = add_parents(x, item->path, before);
                if (r >= 0 && item->source[0])
                        r = add_file(x, item);
                before = item;
        }
        return r < 0 ? err_pass(r) : pax_finish(x->pax);
}

int files_save(const Snapshot *full, const Tree *tree, const PaxLimits *limits, int images_fd) {
        _cleanup_(closep) int fd = -1;
        _cleanup_(files_done) Files x = {.root = -1};
        int r;

        x.root = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);
        if (x.root < 0)
                return err_born(-errno, "cannot open /");
        r = want_all(&x, full, tree, images_fd);
        if (r < 0 || x.n == 0)
                return r < 0 ? err_pass(r) : 0;
        fd = openat(images_fd, STORE_VOLATILE, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
        if (fd < 0)
                return err_born(-errno, "cannot create %s", STORE_VOLATILE);
        r = pax_create(fd, limits, &x.pax);
        if (r >= 0)
                r = add_all(&x);
        return r < 0 ? err_pass(r) : 0;
}

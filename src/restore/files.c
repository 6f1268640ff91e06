/* SPDX-License-Identifier: GPL-2.0-or-later */

/*
 * Entries come with their directories before them, and all of a directory at one stretch. What was made gets
 * owner, mode and times through its descriptor; a directory when everything in it is there, because making a
 * file in one changes its times, and because nobody can reach into a directory that is still root's. Until
 * then it is remembered by its name: descriptors are few, and how many directories there are is the user's
 * choice.
 */

#include "restore/files.h"

#include "base/cleanup.h"
#include "base/err.h"
#include "base/fd.h"
#include "base/text.h"
#include "files/pax.h"
#include "model/model.h"

#include <fcntl.h>
#include <limits.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/xattr.h>
#include <unistd.h>

/* A directory that waits until everything in it is there. */
typedef struct Waiting {
        size_t length; /* its name is so much of Put.inner */
        dev_t dev;
        ino_t ino;
        struct stat wanted;
} Waiting;

typedef struct Put {
        FilesBack *back;
        int root;
        Pax *pax;
        char inner[PATH_MAX]; /* of directories that wait the innermost; each one before leads there */
        Waiting *waiting;
        size_t n;
} Put;

/* Where an entry goes: its directory, opened, and its name there. */
static int open_parent(const Put *p, const char *path, const char **ret_name) {
        const char *slash = strrchr(path, '/');
        char parent[PATH_MAX];

        *ret_name = slash + 1;
        if (slash == path)
                return open_beneath(p->root, ".", O_PATH | O_DIRECTORY, 0);
        snprintf(parent, sizeof parent, "%.*s", (int)(slash - path - 1), path + 1);
        return open_beneath(p->root, parent, O_PATH | O_DIRECTORY, 0);
}

static int note(const Put *p, int fd) {
        struct stat st;

        if (fstat(fd, &st) < 0)
                return -errno;
        return file_set_add(&p->back->made, st.st_dev, st.st_ino, "");
}

static bool is_noted(const Put *p, const struct stat *st) {
        return file_set_find(&p->back->made, st->st_dev, st->st_ino) != NULL;
}

static bool is_same(const struct stat *a, const struct stat *b) {
        return !S_ISREG(a->st_mode) || (a->st_size == b->st_size && a->st_mtim.tv_sec == b->st_mtim.tv_sec &&
                                        a->st_mtim.tv_nsec == b->st_mtim.tv_nsec);
}

/* On what is not complete yet: the next start of a restore that dies here knows it for its own, since only
 * root can set it. A file system that cannot hold it has none. */
#define UNFINISHED "trusted.carryover"

static void mark(int fd, bool unfinished) {
        char buffer[FD_LINK_SIZE];
        const char *link = fd_link(fd, buffer);

        (void)(unfinished ? setxattr(link, UNFINISHED, "", 0, 0) : removexattr(link, UNFINISHED));
}

static bool is_left_over(int parent, const char *name) {
        _cleanup_(closep) int fd = openat(parent, name, O_PATH | O_NOFOLLOW | O_CLOEXEC);
        char link[FD_LINK_SIZE];
        struct stat st;

        if (fd < 0 || fstat(fd, &st) < 0 || st.st_uid != geteuid())
                return false;
        return getxattr(fd_link(fd, link), UNFINISHED, NULL, 0) >= 0;
}

/* Something has the name. Answer 0: it is what was saved. */
static int look_at_present(const Put *p, int parent, const char *name, const PaxEntry *entry) {
        struct stat st;

        if (fstatat(parent, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
                return err_born(-errno, "cannot stat %s", entry->path);
        if ((st.st_mode & S_IFMT) == (entry->st.st_mode & S_IFMT) && st.st_uid == entry->st.st_uid &&
            (is_same(&st, &entry->st) || is_noted(p, &st)))
                return 0;
        return err_say(-EEXIST, "%s already exists and differs from the saved file; nothing was changed",
                       entry->path);
}

/* The owner behind the rest: what is not root's any more is complete. But chown(2) takes setuid away, and
 * nothing of root's gets it. By the magic link, which O_PATH descriptors need. */
static int set_attributes(int fd, const struct stat *st) {
        const struct timespec times[] = {st->st_atim, st->st_mtim};
        char buffer[FD_LINK_SIZE];
        const char *link = fd_link(fd, buffer);

        if (chmod(link, st->st_mode & 01777) < 0 || utimensat(AT_FDCWD, link, times, 0) < 0 ||
            fchownat(fd, "", st->st_uid, st->st_gid, AT_EMPTY_PATH) < 0)
                return -errno;
        return st->st_mode & (S_ISUID | S_ISGID) && chmod(link, st->st_mode & 07777) < 0 ? -errno : 0;
}

/* What the directory's access list has given it is not what it had. */
static void forget_inherited(int fd) {
        char link[FD_LINK_SIZE];

        (void)fd_link(fd, link);
        (void)removexattr(link, "system.posix_acl_access");
        (void)removexattr(link, "system.posix_acl_default");
}

/* It has just been made, by root; one that somebody put there in between is none of ours. */
static int open_made(int parent, const char *name, int flags, mode_t type) {
        _cleanup_(closep) int fd = openat(parent, name, flags | O_NOFOLLOW | O_CLOEXEC);
        struct stat st;

        if (fd < 0 || fstat(fd, &st) < 0)
                return -errno;
        return (st.st_mode & S_IFMT) == type && st.st_uid == geteuid() ? TAKE_FD(fd) : -EEXIST;
}

static bool is_runtime_directory(const char *path) {
        static const char prefix[] = "/run/user/";
        uint64_t uid;

        return starts_with(path, prefix) && parse_u64(path + strlen(prefix), UINT32_MAX, &uid) >= 0;
}

/* logind mounts /run/user/UID when the user first logs in, over whatever is there. Where it is mounted
 * already, as logind would have done it, it is left as it is (systemd's user-runtime-dir). */
static int mount_runtime_directory(int fd, const PaxEntry *entry) {
        char link[FD_LINK_SIZE], options[96];

        snprintf(options, sizeof options, "mode=0700,size=10%%,uid=%u,gid=%u", (unsigned)entry->st.st_uid,
                 (unsigned)entry->st.st_gid);
        if (mount("tmpfs", fd_link(fd, link), "tmpfs", MS_NODEV | MS_NOSUID, options) < 0)
                return err_born(-errno, "cannot mount %s", entry->path);
        return 0;
}

/* Directories that are complete. */

static int finish_directory(const Put *p, const Waiting *dir) {
        _cleanup_(closep) int fd = -1;
        char path[PATH_MAX];
        struct stat st;
        int r;

        snprintf(path, sizeof path, "%.*s", (int)dir->length, p->inner);
        fd = open_beneath(p->root, path + 1, O_PATH | O_DIRECTORY, 0);
        if (fd < 0 || fstat(fd, &st) < 0 || st.st_dev != dir->dev || st.st_ino != dir->ino)
                return err_say(-ESTALE, "directory %s was moved while it was being restored", path);
        r = set_attributes(fd, &dir->wanted);
        if (r < 0)
                return err_born(r, "cannot set owner, mode and times of directory %s", path);
        mark(fd, false);
        return 0;
}

static bool leads_to(const Put *p, const Waiting *dir, const char *path) {
        return path && strncmp(path, p->inner, dir->length) == 0 && path[dir->length] == '/';
}

/* All that do not lead to `path`; NULL: all. The first failure is told, and the others come to their end. */
static int finish_left(Put *p, const char *path) {
        ErrRecord kept = {0};
        int r = 0;

        while (p->n > 0 && !leads_to(p, p->waiting + p->n - 1, path)) {
                int k = finish_directory(p, p->waiting + --p->n);

                if (k < 0 && r >= 0) {
                        r = k;
                        kept = err_keep();
                }
        }
        if (r < 0)
                err_put_back(&kept);
        return r < 0 ? err_pass(r) : 0;
}

static int wait_for_content(Put *p, int fd, const char *path, const struct stat *wanted) {
        Waiting dir = {.length = strlen(path), .wanted = *wanted};
        struct stat st;

        if (fstat(fd, &st) < 0)
                return err_born(-errno, "cannot stat directory %s", path);
        dir.dev = st.st_dev;
        dir.ino = st.st_ino;
        snprintf(p->inner, sizeof p->inner, "%s", path);
        return model_append(p->waiting, p->n, dir);
}

/* One of ours, and complete: what is made in it now must not be seen by its times. */
static int put_into_present(Put *p, int parent, const char *name, const PaxEntry *entry) {
        _cleanup_(closep) int fd = -1;
        struct stat st;
        int r = look_at_present(p, parent, name, entry);

        if (r < 0)
                return err_pass(r);
        fd = openat(parent, name, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
        if (fd < 0 || fstat(fd, &st) < 0)
                return err_born(-errno, "cannot open directory %s", entry->path);
        return is_noted(p, &st) ? wait_for_content(p, fd, entry->path, &st) : 0;
}

static int put_directory(Put *p, int parent, const char *name, const PaxEntry *entry) {
        _cleanup_(closep) int fd = -1;
        int r;

        if (mkdirat(parent, name, 0700) < 0) {
                if (errno != EEXIST)
                        return err_born(-errno, "cannot create directory %s", entry->path);
                if (!is_left_over(parent, name))
                        return put_into_present(p, parent, name, entry);
        }
        fd = open_made(parent, name, O_RDONLY | O_DIRECTORY, S_IFDIR);
        if (fd < 0)
                return err_born(fd, "cannot open directory %s", entry->path);
        mark(fd, true);
        if (is_runtime_directory(entry->path))
                return mount_runtime_directory(fd, entry);
        forget_inherited(fd);
        r = pax_unpack(p->pax, entry, fd);
        if (r >= 0)
                r = note(p, fd);
        if (r >= 0)
                r = wait_for_content(p, fd, entry->path, &entry->st);
        return r < 0 ? err_pass(r) : 0;
}

static int put_link(Put *p, int parent, const char *name, const PaxEntry *entry) {
        _cleanup_(closep) int fd = open_beneath(p->root, entry->link + 1, O_PATH | O_NOFOLLOW, 0);
        char link[FD_LINK_SIZE];
        struct stat st, present;

        if (fd < 0 || fstat(fd, &st) < 0 || !S_ISREG(st.st_mode) || st.st_uid != entry->st.st_uid)
                return err_say(-EEXIST, "%s was replaced during the restore", entry->link);
        if (linkat(AT_FDCWD, fd_link(fd, link), parent, name, AT_SYMLINK_FOLLOW) >= 0)
                return 0;
        if (errno == EEXIST && fstatat(parent, name, &present, AT_SYMLINK_NOFOLLOW) >= 0 &&
            present.st_dev == st.st_dev && present.st_ino == st.st_ino)
                return 0;
        return err_born(-errno, "cannot link %s to %s", entry->path, entry->link);
}

static int make_file(int parent, const char *name, bool is_fifo) {
        int fd;

        if (is_fifo)
                return mkfifoat(parent, name, 0600) < 0 ? -errno : open_made(parent, name, O_PATH, S_IFIFO);
        fd = openat(parent, name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
        return fd < 0 ? -errno : fd;
}

/* A file or a FIFO. What could not be completed goes again: a half file would be in the way of the next
 * attempt. */
static int put_file(Put *p, int parent, const char *name, const PaxEntry *entry) {
        _cleanup_(closep) int fd = make_file(parent, name, S_ISFIFO(entry->st.st_mode));
        int r;

        if (fd == -EEXIST && !is_left_over(parent, name))
                return look_at_present(p, parent, name, entry);
        if (fd == -EEXIST && unlinkat(parent, name, 0) >= 0)
                fd = make_file(parent, name, S_ISFIFO(entry->st.st_mode));
        if (fd < 0)
                return err_born(fd, "cannot create %s", entry->path);
        mark(fd, true);
        forget_inherited(fd);
        r = pax_unpack(p->pax, entry, fd);
        if (r >= 0 && (r = set_attributes(fd, &entry->st)) < 0)
                r = err_born(r, "cannot set owner, mode and times of %s", entry->path);
        if (r >= 0)
                r = note(p, fd);
        if (r < 0)
                (void)unlinkat(parent, name, 0);
        else
                mark(fd, false);
        return r < 0 ? err_pass(r) : 0;
}

static int put_entry(Put *p, const PaxEntry *entry) {
        const char *name;
        _cleanup_(closep) int parent = open_parent(p, entry->path, &name);

        if (parent < 0)
                return err_prefix(parent, "%s: ", entry->path);
        if (entry->link)
                return put_link(p, parent, name, entry);
        if (S_ISDIR(entry->st.st_mode))
                return put_directory(p, parent, name, entry);
        return put_file(p, parent, name, entry);
}

static int put_entries(Put *p, int archive_fd) {
        PaxEntry entry;
        int r = pax_open(archive_fd, &p->pax);

        while (r >= 0 && (r = pax_next(p->pax, &entry)) == 0) {
                r = finish_left(p, entry.path);
                if (r >= 0)
                        r = put_entry(p, &entry);
        }
        return r < 0 ? err_pass(r) : 0;
}

int files_put_back(FilesBack *back, int archive_fd, int root_fd) {
        Put p = {.back = back, .root = root_fd};
        int r = put_entries(&p, archive_fd), end;
        ErrRecord kept = err_keep();

        end = finish_left(&p, NULL);
        if (r < 0)
                err_put_back(&kept);
        (void)pax_free(p.pax);
        free(p.waiting);
        return r < 0 || end < 0 ? err_pass(r < 0 ? r : end) : 0;
}

void files_back_done(FilesBack *back) {
        file_set_done(&back->made);
}

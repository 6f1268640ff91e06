/* SPDX-License-Identifier: GPL-2.0-or-later */

/* The modes of the links in /proc/PID/fd and map_files say how a file was opened; following them says what
 * it is. No file is opened for it, and no server of one is asked. */

#include "rights/foreign.h"

#include "base/cleanup.h"
#include "base/err.h"
#include "base/fd.h"
#include "base/hash.h"
#include "base/text.h"

#include <dirent.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>
#include <unistd.h>

#define DELETED " (deleted)"

#define ACCESS_READ  1u
#define ACCESS_WRITE 2u

/* Places that are no mount point. */
#define PLACE_NAMED  1u /* number: hash of the name */
#define PLACE_DEVICE 2u /* number: of the device */
#define PLACE_GHOST  3u

static uint64_t hash_text(const char *text, uint64_t seed) {
        return hash_bytes(text, strlen(text), seed);
}

int foreign_begin(ForeignLook *look) {
        return err_pass(mounts_read(&look->mounts));
}

void foreign_end(ForeignLook *look) {
        mounts_done(&look->mounts);
}

/* Of several mounts of a file system the one with the shortest name: others show parts of it, or come and
 * go. btrfs has device numbers of its own, and tells its parts apart by its own identity. */
static uint64_t mount_of(const ForeignLook *look, const struct statx *st, const struct statfs *fs) {
        const char *found = NULL;
        uint64_t own;

        for (size_t i = 0; i < look->mounts.n; i++) {
                const MountLine *m = look->mounts.list + i;

                if (m->major == st->stx_dev_major && m->minor == st->stx_dev_minor &&
                    (!found || strlen(m->at.point) < strlen(found)))
                        found = m->at.point;
        }
        memcpy(&own, &fs->f_fsid, sizeof own);
        return found ? hash_text(found, 0) : own;
}

static bool is_remade(const struct statfs *fs, const char *path) {
        static const long types[] = {TMPFS_MAGIC,   RAMFS_MAGIC,         PROC_SUPER_MAGIC, SYSFS_MAGIC,
                                     DEBUGFS_MAGIC, CGROUP2_SUPER_MAGIC, TRACEFS_MAGIC};

        for (size_t i = 0; i < ELEMENTS(types); i++)
                if (fs->f_type == types[i])
                        return true;
        return starts_with(path, "/tmp/");
}

/* Memory, terminals (their numbers may change, and they are the tree's own or guarded elsewhere),
 * directories, and what is no file. */
static bool is_harmless(const struct statx *st, const char *path) {
        static const char *const memory[] = {"/memfd:",   "/dev/zero", "/SYSV",   "/[aio]",
                                             "/dev/pts/", "/dev/ptmx", "/dev/tty"};

        for (size_t i = 0; i < ELEMENTS(memory); i++)
                if (starts_with(path, memory[i]))
                        return true;
        return path[0] != '/' || S_ISDIR(st->stx_mode) || S_ISLNK(st->stx_mode) || S_ISSOCK(st->stx_mode);
}

static int describe(const ForeignLook *look, const char *link, const struct statx *st, const char *path,
                    OthersFile *h) {
        struct statfs fs;

        if (S_ISCHR(st->stx_mode) || S_ISBLK(st->stx_mode)) {
                h->place = PLACE_DEVICE;
                h->number = makedev(st->stx_rdev_major, st->stx_rdev_minor);
                return 0;
        }
        if (st->stx_nlink == 0 && h->place != PLACE_GHOST) {
                h->place = PLACE_GHOST;
                h->number = st->stx_uid;
                return 0;
        }
        if (statfs(link, &fs) < 0)
                return err_born(-errno, "cannot determine the file system of %s", path);
        if (is_remade(&fs, path)) {
                h->place = PLACE_NAMED;
                h->number = hash_text(path, st->stx_uid);
        } else {
                h->place = mount_of(look, st, &fs) ^ st->stx_uid;
                h->number = st->stx_ino;
        }
        return 0;
}

static int compare(const OthersFile *a, const OthersFile *b) {
        if (a->uid != b->uid)
                return a->uid < b->uid ? -1 : 1;
        if (a->place != b->place)
                return a->place < b->place ? -1 : 1;
        return a->number < b->number ? -1 : a->number > b->number;
}

/* Where it is in the list, or belongs: it is kept in order, since thousands are told apart while a tree
 * stands frozen. */
static size_t find(const Tree *tree, const OthersFile *h, bool *ret_there) {
        size_t low = 0, high = tree->n_foreign;

        *ret_there = false;
        while (low < high) {
                size_t middle = low + (high - low) / 2;
                int order = compare(tree->foreign[middle], h);

                if (order == 0) {
                        *ret_there = true;
                        return middle;
                }
                if (order < 0)
                        low = middle + 1;
                else
                        high = middle;
        }
        return low;
}

static int note(Tree *tree, const OthersFile *h) {
        bool there;
        size_t at = find(tree, h, &there);
        OthersFile *copy;
        int r;

        if (there) {
                tree->foreign[at]->access |= h->access;
                return 0;
        }
        copy = model_new(OthersFile, others_file__init);
        if (!copy)
                return -ENOMEM;
        copy->uid = h->uid;
        copy->place = h->place;
        copy->number = h->number;
        copy->access = h->access;
        r = model_append(tree->foreign, tree->n_foreign, copy);
        if (r < 0) {
                model_free(copy);
                return r;
        }
        memmove(tree->foreign + at + 1, tree->foreign + at,
                (tree->n_foreign - 1 - at) * sizeof *tree->foreign);
        tree->foreign[at] = copy;
        return 0;
}

static bool is_known(const Tree *had, const OthersFile *h) {
        bool there;
        size_t at = find(had, h, &there);

        return there && !(h->access & ~had->foreign[at]->access);
}

static bool has_acl(const char *link) {
        return getxattr(link, "system.posix_acl_access", NULL, 0) >= 0;
}

static bool may_pass(int dir_fd) {
        char link[FD_LINK_SIZE];
        struct stat st;

        return fstat(dir_fd, &st) == 0 && st.st_mode & S_IXOTH && !has_acl(fd_link(dir_fd, link));
}

/*
 * Whether anybody could open it for reading under this name. A file of the system that was replaced since
 * the save, as ldconfig(8) does with its cache at the first boot of a new release while some program may
 * just have been starting, gives nobody anything. Not for files that are more than what their modes say:
 * those of proc.
 */
static bool is_public(const char *link, const struct statx *st, const char *path, const OthersFile *h) {
        _cleanup_(closep) int dir = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);
        _cleanup_(freep) char *copy = strdup(path);
        char *name, *slash;
        struct stat named;

        if (!copy || h->place == PLACE_NAMED || h->place == PLACE_DEVICE || h->access & ~ACCESS_READ ||
            !S_ISREG(st->stx_mode) || !(st->stx_mode & S_IROTH) || has_acl(link))
                return false;
        for (name = copy + 1; dir >= 0 && (slash = strchr(name, '/')); name = slash + 1) {
                int next;

                *slash = '\0';
                next = openat(dir, name, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
                fd_close(dir);
                dir = next;
                if (dir < 0 || !may_pass(dir))
                        return false;
        }
        return fstatat(dir, name, &named, AT_SYMLINK_NOFOLLOW) == 0 && named.st_ino == st->stx_ino &&
               named.st_dev == makedev(st->stx_dev_major, st->stx_dev_minor);
}

/* One that had another name then may have none left now. */
static int check(const ForeignLook *look, const char *link, const struct statx *st, const char *path,
                 OthersFile *h, pid_t pid) {
        int r = 0;

        if (is_known(look->had, h))
                return 0;
        if (h->place == PLACE_GHOST)
                r = describe(look, link, st, path, h);
        if (r < 0 || is_known(look->had, h) || is_public(link, st, path, h))
                return r;
        return err_say(-EPERM, "process %d would get %s, which is not the file it had open", (int)pid, path);
}

/* What proc tells a process of itself. CRIU opens it as root, before the process is its user's again, and so
 * the file may come back as root's. */
static bool is_of_itself(const char *path, pid_t pid) {
        char own[32];

        snprintf(own, sizeof own, "/proc/%d/", (int)pid);
        return starts_with(path, own);
}

static int look_at_link(const ForeignLook *look, pid_t pid, uid_t uid, const char *link, bool is_exe) {
        char path[4096 + sizeof DELETED];
        ssize_t l = readlink(link, path, sizeof path - 1);
        OthersFile h = OTHERS_FILE__INIT;
        struct stat opened;
        struct statx st;
        int r;

        if (l < 0 || lstat(link, &opened) < 0)
                return 0; /* gone */
        path[l] = '\0';
        if (path[0] != '/')
                return 0;
        if (statx(AT_FDCWD, link, AT_STATX_DONT_SYNC, STATX_BASIC_STATS, &st) < 0)
                return err_born(-errno, "cannot stat %s of process %d", path, (int)pid);
        if (is_of_itself(path, pid))
                st.stx_uid = look->noted ? 0 : st.stx_uid; /* noted, as it may come back */
        if (is_harmless(&st, path) || (st.stx_uid == uid && uid != 0))
                return 0;
        h.uid = uid;
        h.access = opened.st_mode & S_IRUSR ? ACCESS_READ : 0;
        if (!is_exe && (opened.st_mode & S_IWUSR)) /* the link to an executable says nothing */
                h.access |= ACCESS_WRITE;
        r = describe(look, link, &st, path, &h);
        if (r >= 0)
                r = look->noted ? note(look->noted, &h) : check(look, link, &st, path, &h, pid);
        return r < 0 ? err_pass(r) : 0;
}

static int look_at_links(const ForeignLook *look, pid_t pid, uid_t uid, const char *where) {
        _cleanup_(closedirp) DIR *d = NULL;
        struct dirent *e;
        char path[300];
        int r = 0;

        snprintf(path, sizeof path, "/proc/%d/%s", (int)pid, where);
        d = opendir(path);
        while (d && r >= 0 && (e = readdir(d))) {
                if (e->d_name[0] == '.')
                        continue;
                snprintf(path, sizeof path, "/proc/%d/%s/%s", (int)pid, where, e->d_name);
                r = look_at_link(look, pid, uid, path, false);
        }
        return r;
}

int foreign_look(ForeignLook *look, pid_t pid, uid_t uid) {
        char exe[32];
        int r;

        snprintf(exe, sizeof exe, "/proc/%d/exe", (int)pid);
        r = look_at_links(look, pid, uid, "fd");
        if (r >= 0)
                r = look_at_links(look, pid, uid, "map_files");
        if (r >= 0)
                r = look_at_link(look, pid, uid, exe, true);
        return r < 0 ? err_pass(r) : 0;
}

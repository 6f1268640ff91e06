/* SPDX-License-Identifier: GPL-2.0-or-later */

/* The linker leads the calls of every room through here (--wrap). */

#include "tests/fakes/durable.h"

#include "tests/fakes/fake.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#define DIRTY_MAX 256u

/* Files whose bytes, and directories whose names, are not known to be on disk. */
typedef struct Dirty {
        ino_t ino;
        pid_t thread;
        char what[64]; /* the name that changed; empty: bytes */
} Dirty;

typedef struct Disk {
        dev_t device;
        Dirty dirty[DIRTY_MAX];
        size_t n;
        char violation[256];
} Disk;

static Disk *disk;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

int __real_renameat(int from_fd, const char *from, int to_fd, const char *to);
int __real_unlinkat(int dir_fd, const char *name, int flags);
int __real_fsync(int fd);
ssize_t __real_write(int fd, const void *data, size_t n);
int __real_fake_call(const char *function, const char *format, ...) __attribute__((format(printf, 2, 3)));
int __wrap_renameat(int from_fd, const char *from, int to_fd, const char *to);
int __wrap_unlinkat(int dir_fd, const char *name, int flags);
int __wrap_fsync(int fd);
ssize_t __wrap_write(int fd, const void *data, size_t n);
int __wrap_fake_call(const char *function, const char *format, ...) __attribute__((format(printf, 2, 3)));

void durable_watch(const char *path) {
        struct stat st;

        if (!disk)
                disk = mmap(NULL, sizeof *disk, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
        if (disk == MAP_FAILED || stat(path, &st) < 0) {
                perror(path);
                _exit(1);
        }
        memset(disk, 0, sizeof *disk);
        disk->device = st.st_dev;
}

const char *durable_violation(void) {
        return disk->violation[0] ? disk->violation : NULL;
}

static bool is_watched(int fd, struct stat *st) {
        return disk && fstat(fd, st) >= 0 && st->st_dev == disk->device;
}

static bool is_of(const Dirty *d, ino_t ino, bool name) {
        return d->ino == ino && d->thread == gettid() && (d->what[0] != '\0') == name;
}

static void clean(ino_t ino) {
        size_t left = 0;

        for (size_t i = 0; i < disk->n; i++)
                if (disk->dirty[i].ino != ino || disk->dirty[i].thread != gettid())
                        disk->dirty[left++] = disk->dirty[i];
        disk->n = left;
}

static void soil(ino_t ino, const char *what) {
        Dirty d = {.ino = ino, .thread = gettid()};

        snprintf(d.what, sizeof d.what, "%s", what);
        for (size_t i = 0; i < disk->n; i++)
                if (is_of(disk->dirty + i, ino, what[0] != '\0'))
                        return;
        if (disk->n < DIRTY_MAX)
                disk->dirty[disk->n++] = d;
}

static void complain(const char *what, const char *before) {
        if (!disk->violation[0])
                snprintf(disk->violation, sizeof disk->violation, "%s is not on disk before \"%s\"", what,
                         before);
}

/* The names by which a state is known (docs/ARCHITECTURE.md, "The store"). */
static bool is_state(const char *name) {
        static const char *const states[] = {"saving", "ticket", "ticket.claimed", "report", "begun",
                                             "runs",   "done"};

        for (size_t i = 0; i < sizeof states / sizeof *states; i++)
                if (strcmp(name, states[i]) == 0)
                        return true;
        return false;
}

static void check_names(const char *before) {
        pthread_mutex_lock(&lock);
        for (size_t i = 0; i < disk->n; i++)
                if (disk->dirty[i].what[0] && disk->dirty[i].thread == gettid())
                        complain(disk->dirty[i].what, before);
        pthread_mutex_unlock(&lock);
}

void durable_end(void) {
        check_names("the end");
}

int __wrap_fake_call(const char *function, const char *format, ...) {
        char subject[64];
        va_list ap;

        va_start(ap, format);
        vsnprintf(subject, sizeof subject, format, ap);
        va_end(ap);
        if (disk)
                check_names(function);
        return __real_fake_call(function, "%s", subject);
}

/* An event of the disk itself. */
static int called(const char *function, const char *subject) {
        int r = __real_fake_call(function, "%s", subject);

        if (r < 0)
                errno = -r;
        return r;
}

int __wrap_renameat(int from_fd, const char *from, int to_fd, const char *to) {
        struct stat st, file;
        int r;

        if (!is_watched(to_fd, &st))
                return __real_renameat(from_fd, from, to_fd, to);
        if (called("renameat", to) < 0)
                return -1;
        if (fstatat(from_fd, from, &file, AT_SYMLINK_NOFOLLOW) >= 0 && is_state(to)) {
                pthread_mutex_lock(&lock);
                for (size_t i = 0; i < disk->n; i++)
                        if (is_of(disk->dirty + i, file.st_ino, false))
                                complain(to, "its name");
                pthread_mutex_unlock(&lock);
        }
        r = __real_renameat(from_fd, from, to_fd, to);
        if (r >= 0 && is_state(to)) {
                pthread_mutex_lock(&lock);
                soil(st.st_ino, to);
                pthread_mutex_unlock(&lock);
        }
        return r;
}

/* What was changed in a directory that is gone needs no disk. */
static int remove_directory(int dir_fd, const char *name, int flags) {
        struct stat st;
        bool there = fstatat(dir_fd, name, &st, AT_SYMLINK_NOFOLLOW) >= 0;
        int r = __real_unlinkat(dir_fd, name, flags);

        if (r < 0 || !there)
                return r;
        pthread_mutex_lock(&lock);
        clean(st.st_ino);
        pthread_mutex_unlock(&lock);
        return r;
}

int __wrap_unlinkat(int dir_fd, const char *name, int flags) {
        struct stat st;
        int r;

        if (!is_watched(dir_fd, &st))
                return __real_unlinkat(dir_fd, name, flags);
        if (flags & AT_REMOVEDIR)
                return remove_directory(dir_fd, name, flags);
        if (!is_state(name))
                return __real_unlinkat(dir_fd, name, flags);
        if (called("unlinkat", name) < 0)
                return -1;
        r = __real_unlinkat(dir_fd, name, flags);
        if (r >= 0) {
                pthread_mutex_lock(&lock);
                soil(st.st_ino, name);
                pthread_mutex_unlock(&lock);
        }
        return r;
}

int __wrap_fsync(int fd) {
        char link[32], path[256], *name;
        struct stat st;
        ssize_t n;
        int r;

        if (!is_watched(fd, &st))
                return __real_fsync(fd);
        snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
        n = readlink(link, path, sizeof path - 1);
        path[n < 0 ? 0 : n] = '\0';
        name = strrchr(path, '/');
        if (called("fsync", name ? name + 1 : "?") < 0)
                return -1;
        r = __real_fsync(fd);
        if (r >= 0) {
                pthread_mutex_lock(&lock);
                clean(st.st_ino);
                pthread_mutex_unlock(&lock);
        }
        return r;
}

ssize_t __wrap_write(int fd, const void *data, size_t n) {
        struct stat st;

        if (is_watched(fd, &st)) {
                pthread_mutex_lock(&lock);
                soil(st.st_ino, "");
                pthread_mutex_unlock(&lock);
        }
        return __real_write(fd, data, n);
}

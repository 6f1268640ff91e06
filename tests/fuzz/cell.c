/* SPDX-License-Identifier: GPL-2.0-or-later */

/*
 * Mounting a file system in memory and taking it away again costs a tenth of a millisecond, and needs no
 * code that finds out what an input has left behind: mounts below it go along. It is mounted over /sys,
 * which nobody here asks for and where no build directory can be.
 */

#include "fuzz.h"

#include "base/cleanup.h"
#include "base/fd.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#define PLACE "/sys"
#define SKIP  77 /* meson's word for a test that could not run */

static int root = -1, here = -1, lowest;
static bool mounted;

void fuzz_broken(const char *promise, const char *file, int line) {
        fprintf(stderr, "%s:%d: broken promise: %s\n", file, line, promise);
        abort();
}

static void demand(bool ok, const char *what) {
        if (ok)
                return;
        perror(what);
        exit(1);
}

int LLVMFuzzerInitialize(int *argc, char ***argv) {
        (void)argc;
        (void)argv;
        if (unshare(CLONE_NEWNS | CLONE_NEWNET) < 0) {
                printf("needs root, for a mount namespace: %s\n", strerror(errno));
                exit(SKIP);
        }
        demand(mount("", "/", NULL, MS_REC | MS_PRIVATE, NULL) == 0, "private mounts");
        root = open("/", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        here = open(".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        demand(root >= 0 && here >= 0, "directories");
        umask(022);
        return 0;
}

/* The number that the next descriptor gets: a descriptor that was forgotten has it. */
static int lowest_free(void) {
        int fd = fcntl(root, F_DUPFD_CLOEXEC, 0);

        demand(fd >= 0, "descriptors");
        close(fd);
        return fd;
}

static void cell_mount(bool with_proc) {
        demand(mount("tmpfs", PLACE, "tmpfs", 0, "mode=0755,size=64m,nr_inodes=20000") == 0, "mount");
        mounted = true;
        if (!with_proc)
                return;
        demand(mkdir(PLACE "/proc", 0755) == 0, "mkdir");
        demand(mount("/proc", PLACE "/proc", NULL, MS_BIND, NULL) == 0, "proc");
}

void cell_enter(bool with_proc) {
        if (!mounted)
                cell_mount(with_proc);
        lowest = lowest_free();
        demand(chroot(PLACE) == 0, "chroot");
}

/* All but the real /proc. */
static bool cell_empty(void) {
        _cleanup_(closedirp) DIR *d = opendir(PLACE);
        struct dirent *e;
        struct stat top, st;

        demand(d && fstat(dirfd(d), &top) == 0, "list the cell");
        while ((e = readdir(d))) {
                if (strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0)
                        continue;
                if (fstatat(dirfd(d), e->d_name, &st, AT_SYMLINK_NOFOLLOW) == 0 && st.st_dev != top.st_dev)
                        continue;
                if (file_remove_tree(dirfd(d), e->d_name) < 0)
                        return false;
        }
        return true;
}

void cell_leave(void) {
        demand(fchdir(root) == 0 && chroot(".") == 0 && fchdir(here) == 0, "out of the cell");
        EXPECT(lowest_free() == lowest);
        if (cell_empty())
                return;
        demand(umount2(PLACE, MNT_DETACH) == 0, "umount");
        mounted = false;
}

void cell_put(const char *path, const void *data, size_t size) {
        const char *slash = strrchr(path, '/');
        _cleanup_(freep) char *parent = slash > path ? strndup(path, (size_t)(slash - path)) : NULL;
        _cleanup_(closep) int fd = -1;

        if (parent)
                (void)make_dirs(parent, 0755);
        fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0600);
        if (fd >= 0)
                (void)fd_write_all(fd, data, size);
}

void cell_put_part(const char *path, Part part) {
        cell_put(path, part.data, part.size);
}

bool part_next(Part *rest, const char *separator, Part *ret) {
        const uint8_t *end;

        if (!rest->data)
                return false;
        end = memmem(rest->data, rest->size, separator, strlen(separator));
        if (!end) {
                *ret = *rest;
                *rest = (Part){0};
                return true;
        }
        *ret = (Part){rest->data, (size_t)(end - rest->data)};
        rest->size -= ret->size + strlen(separator);
        rest->data = end + strlen(separator);
        return true;
}

uint8_t part_byte(Part *part) {
        if (part->size == 0)
                return 0;
        part->size--;
        return *part->data++;
}

void part_word(Part *part, char stop, char *ret, size_t size) {
        const uint8_t *end = part->size > 0 ? memchr(part->data, stop, part->size) : NULL;
        size_t whole = end ? (size_t)(end - part->data) : part->size, n = whole < size ? whole : size - 1;

        if (n > 0)
                memcpy(ret, part->data, n);
        ret[n] = '\0';
        part->data += end ? whole + 1 : whole;
        part->size -= end ? whole + 1 : whole;
}

bool is_printable(const char *text, size_t size) {
        for (size_t i = 0; i < size; i++)
                if (text[i] != '\n' && (text[i] < ' ' || text[i] > '~'))
                        return false;
        return true;
}

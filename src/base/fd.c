/* SPDX-License-Identifier: GPL-2.0-or-later */

/* What is durable is decided here: file_replace() and sync_tree() are the only ways in which carryover
 * makes a file valid. */

#include "base/fd.h"

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/err.h"

#include <dirent.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/openat2.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/pidfd.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

int fd_close(int fd) {
        int saved = errno;

        if (fd >= 0)
                close(fd);
        errno = saved;
        return -1;
}

void closep(int *fd) {
        *fd = fd_close(*fd);
}

const char *fd_link(int fd, char buffer[static FD_LINK_SIZE]) {
        snprintf(buffer, FD_LINK_SIZE, "/proc/self/fd/%d", fd);
        return buffer;
}

int fd_write_all(int fd, const void *data, size_t n) {
        const char *p = data;

        while (n > 0) {
                ssize_t k = write(fd, p, n);

                if (k < 0 && errno == EINTR)
                        continue;
                if (k < 0)
                        return err_born(-errno, "write failed");
                p += k;
                n -= (size_t)k;
        }
        return 0;
}

int fd_read_all(int fd, void *data, size_t n) {
        char *p = data;

        while (n > 0) {
                ssize_t k = read(fd, p, n);

                if (k < 0 && errno == EINTR)
                        continue;
                if (k < 0)
                        return err_born(-errno, "read failed");
                if (k == 0)
                        return err_say(-ENODATA, "unexpected end of file");
                p += k;
                n -= (size_t)k;
        }
        return 0;
}

int fd_slurp(int fd, size_t limit, char **ret, size_t *ret_size) {
        _cleanup_(freep) char *buffer = NULL;
        size_t have = 0, room = 0;

        for (;;) {
                ssize_t k;

                if (have + 1 >= room) {
                        char *bigger;

                        room = room ? room * 2 : 4096;
                        bigger = realloc(buffer, room);
                        if (!bigger)
                                return -ENOMEM;
                        buffer = bigger;
                }
                k = read(fd, buffer + have, room - have - 1);
                if (k < 0 && errno == EINTR)
                        continue;
                if (k < 0)
                        return err_born(-errno, "read failed");
                if (k == 0)
                        break;
                have += (size_t)k;
                if (have > limit)
                        return err_say(-EFBIG, "larger than %zu bytes", limit);
        }
        buffer[have] = '\0';
        *ret = TAKE(buffer);
        if (ret_size)
                *ret_size = have;
        return 0;
}

int file_slurp(int dir_fd, const char *path, size_t limit, char **ret, size_t *ret_size) {
        _cleanup_(closep) int fd = -1;
        int r;

        fd = openat(dir_fd, path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NOFOLLOW);
        if (fd < 0)
                return err_born(-errno, "cannot read %s", path);
        r = fd_slurp(fd, limit, ret, ret_size);
        if (r < 0)
                return err_prefix(r, "%s: ", path);
        return 0;
}

int file_put(const char *path, const char *text) {
        _cleanup_(closep) int fd = -1;

        fd = open(path, O_WRONLY | O_CLOEXEC | O_NOCTTY);
        if (fd < 0)
                return err_born(-errno, "cannot open %s for writing", path);
        if (write(fd, text, strlen(text)) < 0)
                return err_born(-errno, "cannot write '%s' to %s", text, path);
        return 0;
}

static int replace(int dir_fd, const char *name, const void *data, size_t size, mode_t mode, bool durably) {
        _cleanup_(closep) int fd = -1;
        char temporary[NAME_MAX + 1];
        int r;

        if (snprintf(temporary, sizeof temporary, ".%s.new", name) >= (int)sizeof temporary)
                return err_born(-ENAMETOOLONG, "cannot write %s", name);
        if (unlinkat(dir_fd, temporary, 0) < 0 && errno != ENOENT)
                return err_born(-errno, "cannot remove the stale %s", temporary);
        fd = openat(dir_fd, temporary, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
        if (fd < 0)
                return err_born(-errno, "cannot create %s", temporary);
        r = fd_write_all(fd, data, size);
        if (r >= 0 && mode != 0600 && fchmod(fd, mode) < 0)
                r = err_born(-errno, "cannot make %s readable", name);
        if (r >= 0 && durably && fsync(fd) < 0)
                r = err_born(-errno, "cannot sync %s to disk", name);
        if (r >= 0 && renameat(dir_fd, temporary, dir_fd, name) < 0)
                r = err_born(-errno, "cannot rename %s into place", name);
        if (r < 0) {
                (void)unlinkat(dir_fd, temporary, 0);
                return err_pass(r);
        }
        if (durably && fsync(dir_fd) < 0)
                return err_born(-errno, "cannot sync the directory of %s to disk", name);
        return 0;
}

int file_replace(int dir_fd, const char *name, const void *data, size_t size) {
        return err_pass(replace(dir_fd, name, data, size, 0600, true));
}

int file_publish(int dir_fd, const char *name, const void *data, size_t size) {
        return err_pass(replace(dir_fd, name, data, size, 0644, true));
}

int file_replace_early(int dir_fd, const char *name, const void *data, size_t size) {
        return err_pass(replace(dir_fd, name, data, size, 0600, false));
}

int open_beneath(int dir_fd, const char *path, int flags, mode_t mode) {
        struct open_how how = {
                        .flags = (unsigned)(flags | O_CLOEXEC | (flags & O_PATH ? 0 : O_NOCTTY)),
                        .mode = flags & O_CREAT ? mode : 0,
                        .resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS,
        };
        int fd = (int)syscall(SYS_openat2, dir_fd, path, &how, sizeof how);

        if (fd < 0)
                return err_born(-errno, "cannot open %s", path);
        return fd;
}

int make_dirs(const char *path, mode_t mode) {
        char part[PATH_MAX];
        struct stat st;
        size_t l = strlen(path);

        if (l == 0 || l >= sizeof part)
                return err_born(-ENAMETOOLONG, "cannot create the directory");
        memcpy(part, path, l + 1);
        for (char *p = part + 1;; p++) {
                char c = *p;

                if (c != '/' && c != '\0')
                        continue;
                *p = '\0';
                if (mkdir(part, c ? 0755 : mode) < 0 && errno != EEXIST)
                        return err_born(-errno, "cannot create the directory %s", part);
                *p = c;
                if (!c)
                        break;
        }
        if (lstat(path, &st) < 0)
                return err_born(-errno, "cannot stat %s", path);
        if (!S_ISDIR(st.st_mode))
                return err_born(-ENOTDIR, "cannot use %s as a directory", path);
        return 0;
}

int open_dirs(const char *path, mode_t mode) {
        int fd, r;

        r = make_dirs(path, mode);
        if (r < 0)
                return err_pass(r);
        fd = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
        return fd < 0 ? err_born(-errno, "cannot open %s", path) : fd;
}

/* Calls itself once per directory level; depth is bounded because the kernel bounds path lengths for those
 * who made the tree, and an attacker cannot write into a directory of ours. */
static int remove_below(int dir_fd, const char *name, dev_t dev) {
        _cleanup_(closep) int fd = -1;
        _cleanup_(closedirp) DIR *d = NULL;
        struct dirent *e;
        struct stat st;

        fd = openat(dir_fd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
        if (fd < 0)
                return err_born(-errno, "cannot open %s to remove it", name);
        if (fstat(fd, &st) < 0 || st.st_dev != dev)
                return err_say(-EXDEV, "%s is on another file system and was not removed", name);
        d = fdopendir(fd);
        if (!d)
                return err_born(-errno, "cannot list %s", name);
        fd = -1;
        while ((e = readdir(d))) {
                int r;

                if (strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0)
                        continue;
                if (unlinkat(dirfd(d), e->d_name, 0) >= 0)
                        continue;
                if (errno != EISDIR && errno != EPERM)
                        return err_born(-errno, "cannot remove %s/%s", name, e->d_name);
                r = remove_below(dirfd(d), e->d_name, dev);
                if (r < 0)
                        return err_pass(r);
        }
        if (unlinkat(dir_fd, name, AT_REMOVEDIR) < 0)
                return err_born(-errno, "cannot remove the directory %s", name);
        return 0;
}

int file_remove_tree(int dir_fd, const char *name) {
        struct stat st;

        if (fstatat(dir_fd, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
                return errno == ENOENT ? 0 : err_born(-errno, "cannot stat %s", name);
        if (S_ISDIR(st.st_mode))
                return remove_below(dir_fd, name, st.st_dev);
        if (unlinkat(dir_fd, name, 0) < 0)
                return err_born(-errno, "cannot remove %s", name);
        return 0;
}

unsigned char entry_type(int dir_fd, const struct dirent *e) {
        struct stat st;

        if (e->d_type != DT_UNKNOWN)
                return e->d_type;
        return fstatat(dir_fd, e->d_name, &st, AT_SYMLINK_NOFOLLOW) < 0 ? DT_UNKNOWN : IFTODT(st.st_mode);
}

int sync_tree(int dir_fd) {
        _cleanup_(closedirp) DIR *d = NULL;
        struct dirent *e;
        int fd;

        fd = openat(dir_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        if (fd < 0)
                return err_born(-errno, "cannot open a directory to sync it");
        d = fdopendir(fd);
        if (!d) {
                fd_close(fd);
                return err_born(-errno, "cannot list a directory to sync it");
        }
        while ((e = readdir(d))) {
                _cleanup_(closep) int child = -1;
                unsigned char type = entry_type(dirfd(d), e);

                if (strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0)
                        continue;
                if (type != DT_REG && type != DT_DIR)
                        continue;
                child = openat(dirfd(d), e->d_name, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
                if (child < 0)
                        return err_born(-errno, "cannot open %s to sync it", e->d_name);
                if (type == DT_DIR) {
                        int r = sync_tree(child);

                        if (r < 0)
                                return err_pass(r);
                } else if (fsync(child) < 0)
                        return err_born(-errno, "cannot sync %s to disk", e->d_name);
        }
        if (fsync(dirfd(d)) < 0)
                return err_born(-errno, "cannot sync a directory to disk");
        return 0;
}

int sync_machine(uint64_t deadline) {
        _cleanup_(closep) int pidfd = -1;
        struct pollfd p = {.events = POLLIN};
        pid_t pid = fork(); /* no signal reaches who waits for a disk */
        int n;

        if (pid < 0)
                return err_born(-errno, "cannot start the process that syncs the disks");
        if (pid == 0) {
                (void)close_range(0, ~0u, 0); /* it may stay for ever */
                sync();
                _exit(0);
        }
        pidfd = p.fd = pidfd_open(pid, 0);
        while ((n = pidfd < 0 ? 1 : poll(&p, 1, deadline_ms(deadline))) < 0 && errno == EINTR)
                ;
        if (n == 0)
                return err_say(-ETIMEDOUT,
                               "syncing the file systems timed out: one of them does not accept writes");
        while (waitpid(pid, NULL, 0) < 0 && errno == EINTR)
                ;
        return 0;
}

int memfd_with(const char *name, const void *data, size_t size) {
        _cleanup_(closep) int fd = -1;
        int r;

        fd = memfd_create(name, MFD_CLOEXEC);
        if (fd < 0)
                return err_born(-errno, "cannot create a memory file for %s", name);
        r = fd_write_all(fd, data, size);
        if (r < 0)
                return err_pass(r);
        if (lseek(fd, 0, SEEK_SET) < 0)
                return err_born(-errno, "cannot rewind the memory file for %s", name);
        return TAKE_FD(fd);
}

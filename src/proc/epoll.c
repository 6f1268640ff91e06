/* SPDX-License-Identifier: GPL-2.0-or-later */

/*
 * Files that an epoll watches and that the process does not have open. An epoll that was inherited over
 * fork() still watches what one of its processes has closed. CRIU looks for each watched file in the process
 * in which it meets the epoll first, and adds it again in the one with the lowest number; so those must have
 * it.
 *
 * fdinfo tells number and inode of each. It waits for the epoll's own lock, which its user can hold for long
 * (FUSE), and then cannot be killed; whoever looks is left behind, as CRIU would be.
 */

#include "base/cleanup.h"
#include "base/fd.h"
#include "base/text.h"
#include "proc/internal.h"
#include "proc/procfs.h"

#include <fcntl.h>
#include <inttypes.h>
#include <linux/kcmp.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#define EPOLL_LIMIT (8u << 20) /* as many lines as a process may have descriptors */

bool procfs_is_epoll(const SnapFd *f) {
        return f->kind == FD_ANON && strcmp(f->target, "anon_inode:[eventpoll]") == 0;
}

/* One line of an epoll's fdinfo. */
typedef struct Watched {
        int fd; /* its number when it was added */
        uint64_t ino;
        unsigned before; /* how many lines above have that number, too: it was closed and used again */
} Watched;

/* All anonymous files have one inode. The kernel says whether a descriptor is the very file that is watched,
 * as it says to CRIU. */
static bool is_watched(const SnapProcess *p, int epoll, const Watched *w, int fd) {
        struct kcmp_epoll_slot slot = {.efd = (unsigned)epoll, .tfd = (unsigned)w->fd, .toff = w->before};

        return syscall(SYS_kcmp, p->pid, p->pid, KCMP_EPOLL_TFD, fd, &slot) == 0;
}

static bool has_file(const SnapProcess *p, int epoll, const Watched *w) {
        for (size_t i = 0; i < p->n_fds; i++) {
                const SnapFd *f = p->fds + i;

                child_step();
                if (f->ino == w->ino && (f->kind != FD_ANON || is_watched(p, epoll, w, f->fd)))
                        return true;
        }
        return false;
}

/* Asked now: it may have been opened since the descriptors were listed. All anonymous ones have one
 * inode. */
static bool has_number(int pid_dir, int fd, uint64_t ino) {
        struct statx st;
        char path[32];

        snprintf(path, sizeof path, "fd/%d", fd);
        return statx(pid_dir, path, AT_STATX_DONT_SYNC, STATX_INO, &st) >= 0 && st.stx_ino == ino;
}

/* "tfd:       10 events:       19 data: a  pos:0 ino:13bcc sdev:a" */
static bool watched_of(const char *line, Watched *ret) {
        const char *ino = strstr(line, " ino:"), *end = line + strcspn(line, "\n");

        return ino && ino < end && sscanf(line, "%d", &ret->fd) == 1 &&
               sscanf(ino, " ino:%" SCNx64, &ret->ino) == 1;
}

static unsigned count_before(const char *text, const char *end, int fd) {
        unsigned n = 0;
        Watched w;

        for (const char *line = text; (line = procfs_field(line, "tfd:")) && line < end;)
                n += watched_of(line, &w) && w.fd == fd;
        return n;
}

static bool find_stray(int pid_dir, const SnapProcess *p, const char *text, SnapFd *f) {
        const char *line = text;

        while ((line = procfs_field(line, "tfd:"))) {
                Watched w;

                child_step();
                if (!watched_of(line, &w) || has_number(pid_dir, w.fd, w.ino))
                        continue;
                w.before = count_before(text, line, w.fd);
                if (has_file(p, f->fd, &w))
                        continue;
                f->stray = w.fd;
                f->stray_ino = w.ino;
                return true;
        }
        return false;
}

/* Whether CRIU meets it first, or makes it again, in p: of those that share it none stands before p in the
 * tree, or none has a lower number. What was inherited has the same number. */
static bool is_restorer(const SnapProcess *p, const SnapFd *f, const SnapProcess *const *tree, size_t n) {
        bool before = true, first = true, lowest = true;

        for (size_t i = 0; i < n && (first || lowest); i++) {
                child_step();
                if (tree[i]->pid == p->pid)
                        before = false;
                else if (syscall(SYS_kcmp, p->pid, tree[i]->pid, KCMP_FILE, f->fd, f->fd) == 0) {
                        first = first && !before;
                        lowest = lowest && tree[i]->pid > p->pid;
                }
        }
        return first || lowest;
}

int procfs_strays(int proc, const SnapProcess *const *tree, size_t n, SnapProcess *p) {
        _cleanup_(closep) int dir = -1;
        char path[32];

        snprintf(path, sizeof path, "%d", (int)p->pid);
        dir = openat(proc, path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        for (size_t i = 0; dir >= 0 && i < p->n_fds; i++) {
                _cleanup_(freep) char *text = NULL, *again = NULL;
                SnapFd *f = p->fds + i;
                int r;

                if (!procfs_is_epoll(f))
                        continue;
                child_step();
                snprintf(path, sizeof path, "fdinfo/%d", f->fd);
                r = file_slurp(dir, path, EPOLL_LIMIT, &text, NULL);
                if (r == -ENOMEM || r == -EFBIG)
                        return r;
                if (r < 0 || !find_stray(dir, p, text, f))
                        continue;
                /* Twice: it may have been closed between the two looks. */
                if (file_slurp(dir, path, EPOLL_LIMIT, &again, NULL) >= 0 && find_stray(dir, p, again, f))
                        f->has_stray = is_restorer(p, f, tree, n);
        }
        return 0;
}

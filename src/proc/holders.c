/* SPDX-License-Identifier: GPL-2.0-or-later */

/*
 * Who outside has the other end of what a tree holds, or the same socket: names for notes, and ports that
 * others are reached at. How many descriptors others have is theirs to choose, so this ends after a while,
 * and of each process a part is looked at; root's come first, all of each, for among them is whose socket a
 * session inherits (sshd's listener). Processes that share a table of descriptors are looked at once.
 */

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/err.h"
#include "base/fd.h"
#include "model/model.h"
#include "proc/internal.h"
#include "proc/procfs.h"

#include <dirent.h>
#include <fcntl.h>
#include <inttypes.h>
#include <linux/kcmp.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#define HOLDERS_USEC (2 * USEC_PER_SEC)
#define HOLDER_FDS   4096u /* of a process that is not root's */
#define FDINFO_MAX   4096u

typedef struct Wanted {
        FdKind kind;
        uint64_t id;
} Wanted;

static int wanted_order(const void *a, const void *b) {
        const Wanted *x = a, *y = b;

        if (x->kind != y->kind)
                return x->kind < y->kind ? -1 : 1;
        return x->id < y->id ? -1 : x->id > y->id;
}

static int wanted_collect(const Snapshot *s, Wanted **ret, size_t *ret_n) {
        _cleanup_(freep) Wanted *list = NULL;
        size_t n = 0, at = 0;

        for (size_t i = 0; i < s->n_processes; i++)
                n += s->processes[i].n_fds;
        list = calloc(n ?: 1, sizeof *list);
        if (!list)
                return -ENOMEM;
        for (size_t i = 0; i < s->n_processes; i++)
                for (size_t k = 0; k < s->processes[i].n_fds; k++) {
                        const SnapFd *f = s->processes[i].fds + k;
                        const SnapUnix *u = f->kind == FD_UNIX ? snapshot_unix(s, f->ino) : NULL;

                        if (f->kind == FD_PIPE)
                                list[at++] = (Wanted){FD_PIPE, f->ino};
                        else if (u && u->peer)
                                list[at++] = (Wanted){FD_UNIX, u->peer};
                        else if (f->kind == FD_TCP || f->kind == FD_UDP)
                                list[at++] = (Wanted){FD_UNIX, f->ino};
                        else if (f->kind == FD_TTY && f->pty_index >= 0)
                                list[at++] = (Wanted){FD_PTMX, (uint64_t)f->pty_index};
                }
        if (at > 0)
                qsort(list, at, sizeof *list, wanted_order);
        *ret = TAKE(list);
        *ret_n = at;
        return 0;
}

static bool holder_candidate(const char *target, Wanted *ret) {
        if (strcmp(target, "/dev/ptmx") == 0 || strcmp(target, "/dev/pts/ptmx") == 0)
                *ret = (Wanted){.kind = FD_PTMX};
        else if (sscanf(target, "pipe:[%" SCNu64 "]", &ret->id) == 1)
                ret->kind = FD_PIPE;
        else if (sscanf(target, "socket:[%" SCNu64 "]", &ret->id) == 1)
                ret->kind = FD_UNIX;
        else
                return false;
        return true;
}

static int holder_look(int pid_dir, const char *name, pid_t pid, const Wanted *wanted, size_t n,
                       Snapshot *s) {
        char path[300], target[64]; /* what does not fit is no candidate */
        unsigned flags = 0;
        Wanted found;
        ssize_t l;

        snprintf(path, sizeof path, "fd/%s", name);
        l = readlinkat(pid_dir, path, target, sizeof target - 1);
        if (l < 0)
                return 0;
        target[l] = '\0';
        if (!holder_candidate(target, &found))
                return 0;
        if (found.kind == FD_PTMX || bsearch(&found, wanted, n, sizeof *wanted, wanted_order)) {
                _cleanup_(freep) char *text = NULL;
                const char *p;

                snprintf(path, sizeof path, "fdinfo/%s", name);
                if (file_slurp(pid_dir, path, FDINFO_MAX, &text, NULL) < 0)
                        return 0;
                p = procfs_field(text, "flags:");
                flags = p ? (unsigned)strtoul(p, NULL, 8) : 0;
                p = procfs_field(text, "tty-index:");
                if (found.kind == FD_PTMX)
                        found.id = p ? strtoull(p, NULL, 10) : UINT64_MAX;
        }
        if (!bsearch(&found, wanted, n, sizeof *wanted, wanted_order))
                return 0;
        return model_append(s->holders, s->n_holders, ((SnapHolder){found.kind, found.id, pid, flags}));
}

static int holder_process(pid_t pid, size_t most, const Wanted *wanted, size_t n, Snapshot *s) {
        _cleanup_(closep) int pid_dir = -1;
        _cleanup_(closedirp) DIR *d = NULL;
        struct dirent *e;
        char path[32];
        int dir;

        snprintf(path, sizeof path, "/proc/%d", (int)pid);
        pid_dir = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        dir = pid_dir < 0 ? -1 : openat(pid_dir, "fd", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        d = dir < 0 ? NULL : fdopendir(dir);
        if (!d) {
                (void)fd_close(dir);
                return 0; /* gone, or not ours to look at: nobody is named then */
        }
        for (size_t looked = 0; looked < most && (e = readdir(d)); looked++) {
                int r = e->d_name[0] == '.' ? 0 : holder_look(pid_dir, e->d_name, pid, wanted, n, s);

                if (r < 0)
                        return r;
        }
        return 0;
}

typedef struct Walk {
        Snapshot *s;
        Wanted *wanted;
        size_t n;
        pid_t last;
} Walk;

static int holders_look(Walk *w, const SnapProcess *p, int fd) {
        int r;

        child_begins(p);
        if (w->last > 0 && syscall(SYS_kcmp, p->pid, w->last, KCMP_FILES, 0, 0) == 0)
                return 0;
        w->last = p->pid;
        w->s->n_holders = 0;
        r = holder_process(p->pid, p->uid == 0 ? PROCFS_MAX_FDS : HOLDER_FDS, w->wanted, w->n, w->s);
        if (r < 0 || w->s->n_holders == 0)
                return r;
        return child_send(fd, FRAME_HOLDERS, w->s->holders, w->s->n_holders * sizeof *w->s->holders);
}

/* In the child, whose snapshot is a copy. */
static int holders_walk(int fd, void *userdata) {
        Walk *w = userdata;
        int r = 0;

        for (int others = 0; others < 2; others++)
                for (size_t i = 0; r >= 0 && i < w->s->n_processes; i++) {
                        const SnapProcess *p = w->s->processes + i;

                        /* what was looked at in depth has threads; its descriptors are in the snapshot */
                        if (p->n_tids == 0 && !p->kernel_thread && (p->uid != 0) == others)
                                r = holders_look(w, p, fd);
                }
        return r;
}

static int holders_take(const Frame *f, Snapshot *s) {
        size_t n = f->size / sizeof *s->holders;
        SnapHolder *grown = reallocarray(s->holders, s->n_holders + n, sizeof *grown);

        if (!grown)
                return -ENOMEM;
        memcpy(grown + s->n_holders, f->data, n * sizeof *grown);
        s->holders = grown;
        s->n_holders += n;
        return 0;
}

int procfs_holders(Snapshot *s) {
        _cleanup_(freep) Wanted *wanted = NULL;
        _cleanup_(child_end) Child child = CHILD_NONE;
        uint64_t deadline = now_monotonic() + HOLDERS_USEC;
        Walk walk = {.s = s};
        int r;

        r = wanted_collect(s, &wanted, &walk.n);
        if (r < 0 || walk.n == 0)
                return r;
        walk.wanted = wanted;
        r = child_start(holders_walk, &walk, &child);
        while (r >= 0) {
                _cleanup_(procfs_frame_done) Frame f = {0};

                r = child_next(&child, deadline, &f);
                if (r <= 0)
                        break;
                r = holders_take(&f, s);
        }
        if (r == -ENOMEM)
                return r;
        s->holders_cut = r < 0;
        return 0;
}

static bool is_wanted(const Wanted *wanted, size_t n, FdKind kind, uint64_t id) {
        const Wanted key = {kind, id};

        return n > 0 && bsearch(&key, wanted, n, sizeof key, wanted_order);
}

/* What another tree holds of it, or did. */
static int holders_of_process(const SnapProcess *p, const Wanted *wanted, size_t n, Snapshot *s) {
        for (size_t k = 0; k < p->n_fds; k++) {
                const SnapFd *f = p->fds + k;
                FdKind kind = f->kind == FD_TCP || f->kind == FD_UDP ? FD_UNIX : f->kind;
                uint64_t id = kind == FD_PTMX ? (uint64_t)f->pty_index : f->ino;

                if (is_wanted(wanted, n, kind, id) &&
                    model_append(s->holders, s->n_holders, ((SnapHolder){kind, id, p->pid, f->flags})) < 0)
                        return -ENOMEM;
        }
        return 0;
}

int procfs_holders_before(const Snapshot *before, Snapshot *s) {
        _cleanup_(freep) Wanted *wanted = NULL;
        size_t n;
        int r;

        s->holders_cut = before->holders_cut;
        r = wanted_collect(s, &wanted, &n);
        for (size_t i = 0; r >= 0 && n > 0 && i < before->n_holders; i++)
                if (is_wanted(wanted, n, before->holders[i].kind, before->holders[i].id))
                        r = model_append(s->holders, s->n_holders, before->holders[i]);
        for (size_t i = 0; r >= 0 && n > 0 && i < before->n_processes; i++)
                if (!snapshot_process(s, before->processes[i].pid))
                        r = holders_of_process(before->processes + i, wanted, n, s);
        return r;
}

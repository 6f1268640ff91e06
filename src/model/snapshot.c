/* SPDX-License-Identifier: GPL-2.0-or-later */

#include "model/snapshot.h"

#include "base/cleanup.h"
#include "base/err.h"
#include "config-build.h"

#include <search.h>
#include <stdlib.h>
#include <string.h>

void snap_process_done(SnapProcess *p) {
        for (size_t i = 0; i < p->n_fds; i++)
                free(p->fds[i].target);
        for (size_t i = 0; i < p->n_maps; i++)
                free(p->maps[i].path);
        free(p->fds);
        free(p->maps);
        free(p->mounts);
        free(p->tids);
        free(p->affinity);
        free(p->slacks);
        for (size_t i = 0; i < p->n_watches; i++)
                free(p->watches[i]);
        free(p->watches);
        free(p->exe);
        free(p->label);
        free(p->cgroup);
}

Snapshot *snapshot_free(Snapshot *s) {
        if (!s)
                return NULL;
        for (size_t i = 0; i < s->n_processes; i++)
                snap_process_done(s->processes + i);
        for (size_t i = 0; i < s->n_unixes; i++)
                free(s->unixes[i].path);
        for (size_t i = 0; i < s->n_containers; i++) {
                free(s->containers[i].shown);
                free(s->containers[i].name);
        }
        free(s->containers);
        free(s->processes);
        free(s->unixes);
        free(s->inets);
        for (size_t i = 0; i < s->n_mounts; i++)
                snap_mount_done(s->mounts + i);
        free(s->holders);
        free(s->mounts);
        free(s);
        return NULL;
}

static int compare(uint64_t a, uint64_t b) {
        return a < b ? -1 : a > b;
}

static int by_pid(const void *a, const void *b) {
        return compare((uint64_t)((const SnapProcess *)a)->pid, (uint64_t)((const SnapProcess *)b)->pid);
}

static int unix_by_ino(const void *a, const void *b) {
        return compare(((const SnapUnix *)a)->ino, ((const SnapUnix *)b)->ino);
}

static int inet_by_ino(const void *a, const void *b) {
        return compare(((const SnapInet *)a)->ino, ((const SnapInet *)b)->ino);
}

static int holder_order(const void *a, const void *b) {
        const SnapHolder *x = a, *y = b;

        return x->kind != y->kind ? compare(x->kind, y->kind) : compare(x->id, y->id);
}

static int holder_by_pid(const void *a, const void *b) {
        const SnapHolder *x = a, *y = b;

        return holder_order(a, b) ?: compare((uint64_t)x->pid, (uint64_t)y->pid);
}

/* From the last to the first, so that the first child has the lowest number. */
static void link_children(Snapshot *s) {
        for (size_t i = 0; i < s->n_processes; i++)
                s->processes[i].first_child = s->processes[i].next_sibling = 0;
        for (size_t i = s->n_processes; i-- > 0;) {
                SnapProcess *p = s->processes + i;
                const SnapProcess key = {.pid = p->ppid};
                SnapProcess *parent = bsearch(&key, s->processes, s->n_processes, sizeof key, by_pid);

                if (!parent)
                        continue;
                p->next_sibling = parent->first_child;
                parent->first_child = i + 1;
        }
}

void snapshot_sort(Snapshot *s) {
        if (s->n_processes > 0)
                qsort(s->processes, s->n_processes, sizeof *s->processes, by_pid);
        link_children(s);
        if (s->n_unixes > 0)
                qsort(s->unixes, s->n_unixes, sizeof *s->unixes, unix_by_ino);
        if (s->n_inets > 0)
                qsort(s->inets, s->n_inets, sizeof *s->inets, inet_by_ino);
        if (s->n_holders > 0)
                qsort(s->holders, s->n_holders, sizeof *s->holders, holder_by_pid);
        s->sorted = true;
}

static const void *find(const Snapshot *s, const void *key, const void *list, size_t n, size_t size,
                        int (*order)(const void *, const void *)) {
        if (n == 0)
                return NULL;
        return s->sorted ? bsearch(key, list, n, size, order) : lfind(key, list, &n, size, order);
}

const SnapProcess *snapshot_process(const Snapshot *s, pid_t pid) {
        const SnapProcess key = {.pid = pid};

        return find(s, &key, s->processes, s->n_processes, sizeof key, by_pid);
}

const SnapUnix *snapshot_unix(const Snapshot *s, uint64_t ino) {
        const SnapUnix key = {.ino = ino};

        return find(s, &key, s->unixes, s->n_unixes, sizeof key, unix_by_ino);
}

const SnapInet *snapshot_inet(const Snapshot *s, uint64_t ino) {
        const SnapInet key = {.ino = ino};

        return find(s, &key, s->inets, s->n_inets, sizeof key, inet_by_ino);
}

const SnapHolder *snapshot_holder(const Snapshot *s, FdKind kind, uint64_t id) {
        const SnapHolder key = {.kind = kind, .id = id};

        return find(s, &key, s->holders, s->n_holders, sizeof key, holder_order);
}

bool snapshot_is_held_by(const Snapshot *s, FdKind kind, uint64_t id, pid_t pid) {
        const SnapHolder key = {.kind = kind, .id = id, .pid = pid};

        return find(s, &key, s->holders, s->n_holders, sizeof key, holder_by_pid);
}

const char *snapshot_volatile_name(const Snapshot *s, const SnapFd *f) {
        const SnapUnix *u = f->kind == FD_UNIX ? snapshot_unix(s, f->ino) : NULL;

        if (f->kind == FD_UNIX)
                return u && u->is_volatile && u->path[0] == '/' ? u->path : NULL;
        return f->is_volatile && !f->mnt_foreign ? f->target : NULL;
}

SnapNumbers snap_own_numbers(const SnapProcess *p) {
        return p->own.pid ? p->own : (SnapNumbers){p->pid, p->pgid, p->sid};
}

/* Nobody but root can have the executable, and with it the number. */
bool snap_is_tree_init(const SnapProcess *p) {
        return p->is_roots && p->own.pid == 1 && p->exe && strcmp(p->exe, LIBEXECDIR "/carryover-init") == 0;
}

const SnapProcess *snapshot_tree_init(const Snapshot *s, const SnapProcess *p) {
        const SnapProcess *parent = p->ppid > 0 ? snapshot_process(s, p->ppid) : NULL;

        return parent && snap_is_tree_init(parent) ? parent : NULL;
}

/* Places as in first_child. */
static size_t next_child(const Snapshot *s, const SnapProcess *parent, size_t before) {
        if (s->sorted)
                return before ? s->processes[before - 1].next_sibling : parent->first_child;
        for (size_t i = before; i < s->n_processes; i++)
                if (s->processes[i].ppid == parent->pid)
                        return i + 1;
        return 0;
}

int snapshot_tree(const Snapshot *s, pid_t root, const SnapProcess ***ret, size_t *ret_n) {
        _cleanup_(freep) const SnapProcess **found = NULL;
        size_t n = 0;

        found = calloc(s->n_processes ?: 1, sizeof *found);
        if (!found)
                return -ENOMEM;
        found[0] = snapshot_process(s, root);
        if (!found[0])
                return err_say(-ESRCH, "process %d does not exist", (int)root);
        /* The list is its own queue: each one found brings its children behind it. Every process has one
         * parent, so it can come only once, unless /proc showed a loop in a race; the bound stops that. */
        n = 1;
        for (size_t at = 0; at < n; at++)
                for (size_t i = next_child(s, found[at], 0); i > 0 && n < s->n_processes;
                     i = next_child(s, found[at], i))
                        if (s->processes[i - 1].pid != root)
                                found[n++] = s->processes + i - 1;
        *ret = TAKE(found);
        *ret_n = n;
        return 0;
}

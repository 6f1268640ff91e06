/* SPDX-License-Identifier: GPL-2.0-or-later */

/*
 * What is looked at, and how long. All processes shallowly: a few small files of each. In depth only what a
 * root process of a wanted tree leads to, for that costs some system calls per descriptor; first it is
 * counted, and a tree that is beyond its limits is not looked at. Who is in the way is left, and the others
 * are looked at all the same.
 */

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/err.h"
#include "base/fd.h"
#include "base/text.h"
#include "model/model.h"
#include "proc/huge.h"
#include "proc/internal.h"
#include "proc/process-tree.h"
#include "proc/procfs.h"

#include <fcntl.h>
#include <string.h>
#include <unistd.h>

/* Some 40,000 processes on a slow machine. */
#define LIST_USEC (30 * USEC_PER_SEC)
/* A tree with as many processes as MaxProcesses= allows takes some seconds, under emulation some more. */
#define TREE_USEC (20 * USEC_PER_SEC)
/* A million sockets take a second. With many at one port each takes longer than the one before. */
#define SOCKETS_USEC (10 * USEC_PER_SEC)

static int open_proc(void) {
        int fd = open("/proc", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

        return fd < 0 ? err_born(-errno, "cannot open /proc") : fd;
}

/* The list. */

typedef struct List {
        pid_t *pids;
        size_t n, at;
} List;

static void list_done(List *list) {
        free(list->pids);
}

static int list_add(List *list, size_t *room, pid_t pid) {
        pid_t *grown;

        if (list->n == *room) {
                *room = *room ? *room * 2 : 256;
                grown = reallocarray(list->pids, *room, sizeof *grown);
                if (!grown)
                        return -ENOMEM;
                list->pids = grown;
        }
        list->pids[list->n++] = pid;
        return 0;
}

static int list_all(int proc, List *ret) {
        _cleanup_(list_done) List list = {0};
        _cleanup_(closedirp) DIR *d = NULL;
        struct dirent *e;
        size_t room = 0;
        pid_t pid;
        int fd;

        fd = openat(proc, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        d = fd < 0 ? NULL : fdopendir(fd);
        if (!d) {
                (void)fd_close(fd);
                return err_born(-errno, "cannot list /proc");
        }
        while ((e = readdir(d)))
                if (parse_pid(e->d_name, &pid) >= 0 && list_add(&list, &room, pid) < 0)
                        return -ENOMEM;
        *ret = list;
        list = (List){0};
        return 0;
}

/* In the child. A process that cannot be read as it should is left out by its own fault. */
static int list_work(int fd, void *userdata) {
        _cleanup_(closep) int proc = open_proc();
        uint64_t offset = procfs_start_offset(proc);
        const List *list = userdata;
        int r = proc;

        for (size_t i = list->at; r >= 0 && i < list->n; i++) {
                SnapProcess p = {.pid = list->pids[i]};

                child_begins(&p);
                r = procfs_process(proc, list->pids[i], offset, &p);
                if (r >= 0)
                        r = child_send_process(fd, &p);
                else if (procfs_is_gone(r))
                        r = 0;
                snap_process_done(&p);
        }
        return r;
}

static int processes_append(Snapshot *s, size_t *room, SnapProcess p) {
        if (s->n_processes == *room) {
                SnapProcess *grown;

                *room = *room ? *room * 2 : 256;
                grown = reallocarray(s->processes, *room, sizeof *grown);
                if (!grown) {
                        snap_process_done(&p);
                        return -ENOMEM;
                }
                s->processes = grown;
        }
        s->processes[s->n_processes++] = p;
        return 0;
}

/* Behind the one that is in the way. Of that it is known from its first line what it is and whose child; if
 * not even that, it is at its end. `seen`: the last that was sent, which is in nobody's way. The child is
 * dead by now: of one that came on meanwhile, all that it began with would be lost. */
static int list_step_over(List *list, const Child *child, pid_t seen, Snapshot *s, size_t *room) {
        SnapProcess p = child->page->at;
        size_t at = list->at;

        while (at < list->n && list->pids[at] != p.pid)
                at++;
        if (at == list->n)
                return err_say(-EIO, "the process that reads /proc ended before it started");
        list->at = at + 1;
        p.stuck = true;
        return p.state && p.pid != seen ? processes_append(s, room, p) : 0;
}

/* As child_next(). */
static int list_next(Child *child, uint64_t deadline, Snapshot *s, size_t *room, pid_t *seen) {
        _cleanup_(procfs_frame_done) Frame f = {0};
        SnapProcess p;
        int r;

        r = child_next(child, deadline, &f);
        if (r <= 0)
                return r;
        r = procfs_frame_process(&f, &p);
        if (r < 0)
                return r;
        *seen = p.pid;
        r = processes_append(s, room, p);
        return r < 0 ? r : 1;
}

static int list_run(List *list, uint64_t deadline, Snapshot *s, size_t *room) {
        _cleanup_(child_end) Child child = CHILD_NONE;
        int r = child_start(list_work, list, &child);
        pid_t seen = 0;

        if (r < 0)
                return r;
        do
                r = list_next(&child, deadline, s, room, &seen);
        while (r > 0);
        if (r == -ETIMEDOUT) { /* what it has sent until it dies counts, too */
                uint64_t end = child_kill(&child);

                do
                        r = list_next(&child, end, s, room, &seen);
                while (r > 0);
        }
        if (r == 0)
                list->at = list->n;
        if (r != -ETIMEDOUT && r != -EPIPE && r != -EFBIG)
                return r;
        if (now_monotonic() >= deadline)
                return err_say(-ETIMEDOUT, "reading all processes took longer than %u s",
                               (unsigned)(LIST_USEC / USEC_PER_SEC));
        return list_step_over(list, &child, seen, s, room);
}

static int list_read(List *list, Snapshot *s) {
        uint64_t deadline = now_monotonic() + LIST_USEC;
        size_t room = s->n_processes;
        int r = 0;

        for (list->at = 0; r >= 0 && list->at < list->n;)
                r = list_run(list, deadline, s, &room);
        snapshot_sort(s);
        return r < 0 ? err_pass(r) : 0;
}

/* The trees. */

typedef struct Deep {
        const Mounts *mounts;
        const SnapProcess **tree;
        size_t n;
} Deep;

/* One user's process must not keep the others from being carried. */
static void note_unseen(SnapProcess *p, int r) {
        if (r == -E2BIG || r == -EFBIG)
                p->beyond = true;
        else if (r < 0 && !procfs_is_gone(r) && r != -ENOMEM)
                p->unreadable = true;
}

/* In the child. A process that ends while we look loses its descriptors first; it stays in the list, empty,
 * and whoever dumps it will find it gone. */
static int deep_work(int fd, void *userdata) {
        _cleanup_(closep) int proc = open_proc();
        const Deep *deep = userdata;
        int r = proc;

        for (size_t i = 0; r >= 0 && i < deep->n; i++) {
                SnapProcess p = *deep->tree[i];

                if (p.n_tids > 0 || p.kernel_thread)
                        continue; /* seen already, as part of another tree */
                child_begins(&p);
                r = procfs_process_deep(proc, deep->mounts, &p);
                if (r >= 0)
                        r = procfs_strays(proc, deep->tree, deep->n, &p);
                note_unseen(&p, r);
                r = r == -ENOMEM ? r : child_send_process(fd, &p);
                p.exe = p.cgroup = NULL; /* the list's */
                snap_process_done(&p);
        }
        return r;
}

static SnapProcess *process_of(Snapshot *s, pid_t pid) {
        const SnapProcess *p = snapshot_process(s, pid);

        return p ? s->processes + (p - s->processes) : NULL;
}

static int deep_take(const Frame *f, Snapshot *s) {
        SnapProcess p, *at;
        int r = procfs_frame_process(f, &p);

        if (r < 0)
                return r;
        at = process_of(s, p.pid);
        if (!at) {
                snap_process_done(&p);
                return -EBADMSG;
        }
        snap_process_done(at);
        *at = p;
        return 0;
}

/* The mounts that the trees' processes see: ours, and those of trees that came back in a namespace. */
typedef struct Views {
        Mounts ours;
        Mounts *others;
        size_t n_others;
} Views;

static void views_done(Views *views) {
        mounts_done(&views->ours);
        for (size_t i = 0; i < views->n_others; i++)
                mounts_done(views->others + i);
        free(views->others);
}

/* Its carryover-init is ours, and nobody can be in its way. What is no longer there has no mounts. */
static int view_of(int proc, Views *views, Snapshot *s, pid_t root, const Mounts **ret) {
        const SnapProcess *p = snapshot_process(s, root), *init = p ? snapshot_tree_init(s, p) : NULL;
        Mounts mounts = {0};
        int r;

        *ret = &views->ours;
        if (!init)
                return 0;
        procfs_namespaces(proc, s->processes + (init - s->processes));
        if (init->ns_mnt == s->own_mnt)
                return 0;
        r = mounts_read_of(init->pid, &views->ours, &mounts);
        if (r < 0)
                return r == -ESRCH ? 0 : err_pass(r);
        r = model_append(views->others, views->n_others, mounts);
        if (r < 0)
                mounts_done(&mounts);
        else
                *ret = views->others + views->n_others - 1;
        return r;
}

/* Whether it may be looked at in depth. */
static bool tree_fits(int proc, const SnapLook *look, Snapshot *s, const SnapProcess **tree, size_t n) {
        uint64_t files = 0;

        if (look->max_processes && n > look->max_processes)
                return false;
        for (size_t i = 0; i < n; i++)
                if (tree[i]->stuck)
                        return false;
        for (size_t i = 0; look->max_files && i < n; i++) {
                SnapProcess *p = s->processes + (tree[i] - s->processes);

                /* A tree's processes are the list's: it is not NULL.
                 * NOLINTNEXTLINE(clang-analyzer-core.NullDereference) */
                p->n_open = procfs_count_fds(proc, p->pid, look->max_files - files);
                files += p->n_open;
                if (files > look->max_files)
                        return false;
        }
        return true;
}

static int tree_read(int proc, Views *views, const SnapLook *look, pid_t root, uint64_t deadline,
                     Snapshot *s) {
        _cleanup_(freep) const SnapProcess **tree = NULL;
        _cleanup_(child_end) Child child = CHILD_NONE;
        Deep deep = {0};
        SnapProcess *stuck;
        int r;

        r = snapshot_tree(s, root, &tree, &deep.n);
        if (r < 0 || !tree_fits(proc, look, s, tree, deep.n))
                return r == -ESRCH ? 0 : r;
        deep.tree = tree;
        r = view_of(proc, views, s, root, &deep.mounts);
        if (r >= 0)
                r = child_start(deep_work, &deep, &child);
        if (r < 0)
                return r;
        while (r >= 0) {
                _cleanup_(procfs_frame_done) Frame f = {0};

                r = child_next(&child, deadline, &f);
                if (r <= 0)
                        break;
                r = deep_take(&f, s);
        }
        if (r != -ETIMEDOUT && r != -EPIPE)
                return r;
        stuck = process_of(s, child.page->at.pid) ?: process_of(s, root);
        /* snapshot_tree() found the root.
         * NOLINTNEXTLINE(clang-analyzer-core.NullDereference) */
        stuck->stuck = true;
        return 0;
}

/* What all trees of this user's have taken so far: root may have as many as there are. */
static uint64_t spent_by_user(const SnapLook *look, const uint64_t *spent, size_t at) {
        uint64_t sum = 0;

        for (size_t i = 0; look->users && look->users[at] != 0 && i < at; i++)
                if (look->users[i] == look->users[at])
                        sum += spent[i];
        return sum;
}

static int trees_read(Views *views, const SnapLook *look, Snapshot *s) {
        _cleanup_(freep) uint64_t *spent = calloc(look->n ?: 1, sizeof *spent);
        _cleanup_(closep) int proc = open_proc();
        int r = proc < 0 ? proc : spent ? 0 : -ENOMEM;

        for (size_t i = 0; r >= 0 && i < look->n; i++) {
                uint64_t begin = now_monotonic(), before = spent_by_user(look, spent, i);
                SnapProcess *root = process_of(s, look->roots[i]);

                if (root && before >= TREE_USEC)
                        root->stuck = true;
                else
                        r = tree_read(proc, views, look, look->roots[i], begin + TREE_USEC - before, s);
                spent[i] = now_monotonic() - begin;
        }
        return r < 0 ? err_pass(r) : 0;
}

/* Snapshots. */

static int look_deep(const SnapLook *look, Snapshot *s) {
        _cleanup_(views_done) Views views = {0};
        int r = mounts_read(&views.ours);

        if (r >= 0)
                r = trees_read(&views, look, s);
        if (r >= 0)
                r = procfs_sockets(&views.ours,
                                   (SocketBounds){PROCFS_MAX_SOCKETS, now_monotonic() + SOCKETS_USEC}, s);
        snapshot_sort(s);
        if (r >= 0)
                r = procfs_mounts_end(&views.ours, views.others, views.n_others, s);
        if (r >= 0)
                procfs_memory(s);
        return r < 0 ? err_pass(r) : 0;
}

int snapshot_look(const SnapLook *look, Snapshot **ret) {
        _cleanup_(snapshot_freep) Snapshot *s = calloc(1, sizeof *s);
        _cleanup_(closep) int proc = open_proc();
        _cleanup_(list_done) List list = {0};
        int r;

        if (!s)
                return -ENOMEM;
        if (proc < 0)
                return err_pass(proc);
        procfs_own(proc, s);
        r = list_all(proc, &list);
        if (r >= 0)
                r = list_read(&list, s);
        if (r >= 0 && look->depth == SNAP_FULL) {
                r = look_deep(look, s);
                if (r >= 0)
                        r = procfs_holders(s);
                snapshot_sort(s);
        }
        if (r < 0)
                return err_pass(r);
        *ret = TAKE(s);
        return 0;
}

int snapshot_take(SnapDepth depth, const pid_t *roots, size_t n, Snapshot **ret) {
        return err_pass(snapshot_look(&(SnapLook){.depth = depth, .roots = roots, .n = n}, ret));
}

/* Who is the root's parent, if that tells where it lives. */
static int init_of(const Snapshot *s, pid_t root, List *ret) {
        const SnapProcess *p = snapshot_process(s, root);
        size_t room = 0;

        return p && p->ppid > 1 && snap_own_numbers(p).pid != p->pid ? list_add(ret, &room, p->ppid) : 0;
}

/* Whoever leads a session of a member's and is none himself. */
static int leaders_of(const Snapshot *s, List *ret) {
        _cleanup_(list_done) List list = {0};
        size_t room = 0;

        for (size_t i = 0; i < s->n_processes; i++) {
                pid_t sid = s->processes[i].sid;
                bool known = sid <= 0 || snapshot_process(s, sid);

                for (size_t k = 0; !known && k < list.n; k++)
                        known = list.pids[k] == sid;
                if (!known && list_add(&list, &room, sid) < 0)
                        return -ENOMEM;
        }
        *ret = list;
        list = (List){0};
        return 0;
}

int snapshot_frozen(pid_t root, const SnapLook *limits, const Snapshot *before, Snapshot **ret) {
        _cleanup_(snapshot_freep) Snapshot *s = calloc(1, sizeof *s);
        _cleanup_(list_done) List list = {0}, leaders = {0}, init = {0};
        _cleanup_(closep) int proc = open_proc();
        SnapLook look = *limits;
        int r;

        if (!s)
                return -ENOMEM;
        if (proc < 0)
                return err_pass(proc);
        look.roots = &root;
        look.n = 1;
        procfs_own(proc, s);
        r = process_tree_list(root, &list.pids, &list.n);
        if (r >= 0 && look.max_processes && list.n > look.max_processes)
                r = err_say(-E2BIG, "this tree now has %zu processes, which exceeds the limit", list.n);
        if (r >= 0)
                r = list_read(&list, s);
        if (r >= 0)
                r = init_of(s, root, &init);
        if (r >= 0)
                r = list_read(&init, s);
        if (r >= 0)
                r = leaders_of(s, &leaders);
        if (r >= 0)
                r = list_read(&leaders, s);
        if (r >= 0)
                r = look_deep(&look, s);
        if (r >= 0 && before)
                r = procfs_holders_before(before, s);
        if (r < 0)
                return err_pass(r);
        snapshot_sort(s);
        *ret = TAKE(s);
        return 0;
}

/* SPDX-License-Identifier: GPL-2.0-or-later */

/* proc/ and rights/: each tree is one process of a service, with a connection. */

#include "base/err.h"
#include "base/text.h"
#include "config-build.h"
#include "proc/procfs.h"
#include "rights/rights.h"
#include "tests/fakes/fake.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

static int add_connection(Snapshot *s, SnapProcess *p) {
        const SnapFd fd = {.kind = FD_TCP, .ino = (uint64_t)p->pid, .pty_index = -1};
        const SnapInet inet = {.ino = (uint64_t)p->pid,
                               .family = AF_INET,
                               .protocol = IPPROTO_TCP,
                               .state = TCP_ESTABLISHED,
                               .local = {192, 0, 2, 1},
                               .remote = {192, 0, 2, 2},
                               .local_port = 2000,
                               .remote_port = (uint16_t)p->pid};
        int r = model_append(p->fds, p->n_fds, fd);

        return r < 0 ? r : model_append(s->inets, s->n_inets, inet);
}

static int add_init(Snapshot *s, const FakeTree *t) {
        SnapProcess p = {.pid = t->init, .ppid = 1, .own.pid = 1, .is_roots = true, .state = 'S'};
        int r;

        if (t->init == 0)
                return 0;
        p.exe = strdup(LIBEXECDIR "/carryover-init");
        r = p.exe ? model_append(s->processes, s->n_processes, p) : -ENOMEM;
        if (r < 0)
                snap_process_done(&p);
        return r;
}

static int add_process(Snapshot *s, const FakeTree *t) {
        SnapProcess p = {.pid = t->pid,
                         .own = {t->own, t->own, t->own},
                         .ppid = t->init ?: 1,
                         .pgid = t->pid,
                         .sid = t->pid,
                         .start = t->start,
                         .state = 'S',
                         .uid = 1000,
                         .euid = 1000,
                         .tty_index = -1,
                         .comm = "job"};
        int r = t->carries ? add_connection(s, &p) : 0;

        p.exe = strdup("/usr/bin/job");
        p.cgroup = text_format("/system.slice/%s.service", t->name);
        if (r >= 0)
                r = p.exe && p.cgroup ? model_append(s->processes, s->n_processes, p) : -ENOMEM;
        if (r < 0)
                snap_process_done(&p);
        return r;
}

/* The living ones, or the one that is asked for. */
static int make(pid_t only, Snapshot **ret) {
        Snapshot *s = calloc(1, sizeof *s);
        int r = s ? 0 : -ENOMEM;

        for (size_t i = 0; r >= 0 && i < fake->n_trees; i++)
                if (fake->trees[i].life != FAKE_DEAD && (!only || fake->trees[i].pid == only))
                        r = add_process(s, fake->trees + i) ?: add_init(s, fake->trees + i);
        if (r < 0) {
                (void)snapshot_free(s);
                return r;
        }
        *ret = s;
        return 0;
}

int snapshot_look(const SnapLook *look, Snapshot **ret) {
        int r = fake_call("snapshot_look", "%zu", look->n);

        return r < 0 ? r : make(0, ret);
}

int snapshot_take(SnapDepth depth, const pid_t *roots, size_t n, Snapshot **ret) {
        int r = fake_call("snapshot_take", "%zu", n);

        (void)depth;
        (void)roots;
        return r < 0 ? r : make(0, ret);
}

int snapshot_frozen(pid_t root, const SnapLook *limits, const Snapshot *before, Snapshot **ret) {
        int r = fake_call("snapshot_frozen", "%d", (int)root);

        (void)limits;
        (void)before;
        return r < 0 ? r : make(root, ret);
}

bool process_is_traced(pid_t pid) {
        const FakeTree *t = fake_tree(pid);

        return fake_call("process_is_traced", "%d", (int)pid) >= 0 && t && t->life == FAKE_FROZEN;
}

/* All are on the host. */
pid_t process_own_number(pid_t pid) {
        return pid;
}

int process_start_time(pid_t pid, uint64_t *ret) {
        const FakeTree *t = fake_tree(pid);

        if (!t || t->life == FAKE_DEAD)
                return err_say(-ESRCH, "process %d does not exist", (int)pid);
        *ret = t->start;
        return 0;
}

int rights_note(Tree *tree) {
        return fake_call("rights_note", "%s", tree->name);
}

int rights_check(const Tree *tree, pid_t root) {
        (void)root;
        return fake_call("rights_check", "%s", tree->name);
}

/* SPDX-License-Identifier: GPL-2.0-or-later */

/* One table row or test per finding; and an ordinary ssh session, which must have none. */

#include "tests/unit/preflight.h"

#include "base/err.h"
#include "store/run.h"

#include <fcntl.h>
#include <sys/sysmacros.h>
#include <time.h>

static void test_unreadable(void **state) {
        World *w = *state;

        world_at(w->s, 402)->unreadable = true;
        expect(w, VERDICT_REFUSED, "unreadable", "root cannot read");
        world_at(w->s, 402)->stuck = true;
        expect(w, VERDICT_REFUSED, "stuck", "reading bash (402) timed out");
}

static void test_frozen(void **state) {
        World *w = *state;

        world_at(w->s, 402)->tracer = 9;
        world_at(w->s, 402)->state = 't';
        expect(w, VERDICT_REFUSED, "traced", "is traced by");
        w->facts.frozen = true;
        expect_ok(w);
        world_at(w->s, 402)->no_new_privs = true;
        w->facts.criu.no_new_privs = false;
        expect(w, VERDICT_REFUSED, "no-new-privs", "has no_new_privs set");
}

/* As seen on Debian 12 (docs/CRIU.md, "Seen in virtual machines"), with the usual of a shell and of Go, Node
 * and Java programs. */
static void test_ordinary_session(void **state) {
        World *w = *state;
        Snapshot *s = w->s;
        SnapFd *f;

        world_fd(s, 400, FD_CHAR, 5, "/dev/null")->rdev = makedev(1, 3);
        world_fd(s, 400, FD_TCP, 40, NULL);
        world_tcp(s, 40, TCP_ESTABLISHED, 0x0a000001, 22, 0x0a000002, 5000);
        world_fd(s, 400, FD_UNIX, 41, NULL);
        world_unix(s, 41, 90, SOCK_DGRAM, NULL);
        world_unix(s, 90, 0, SOCK_DGRAM, "/run/systemd/journal/dev-log");
        world_fd(s, 400, FD_UNIX, 42, NULL);
        world_unix(s, 42, 0, SOCK_STREAM, NULL)->dead_peer = true;
        f = world_fd(s, 400, FD_FIFO, 43, "/run/systemd/sessions/4.ref");
        f->mnt_foreign = f->is_volatile = true;
        for (int i = 0; i < 3; i++)
                world_fd(s, 400, FD_PTMX, 44, "/dev/ptmx")->pty_index = 0;
        for (int i = 0; i < 3; i++) {
                f = world_fd(s, 402, FD_TTY, 45, "/dev/pts/0");
                f->pty_index = 0;
                f->rdev = makedev(136, 0);
        }
        world_at(s, 402)->tty_index = 0;
        f = world_fd(s, 402, FD_TTY, 46, "/dev/tty");
        f->rdev = makedev(5, 0);
        world_fd(s, 402, FD_FILE, 47, "/root/x");
        f = world_fd(s, 402, FD_FILE, 48, "/usr/lib/x86_64-linux-gnu/libc.so.6");
        f->deleted = f->path_replaced = true;
        world_fd(s, 402, FD_DIR, 2, "/root")->fd = -1;
        world_fd(s, 402, FD_ANON, 49, "anon_inode:[eventpoll]");
        world_fd(s, 402, FD_ANON, 49, "anon_inode:[eventfd]");
        world_fd(s, 402, FD_ANON, 49, "anon_inode:[timerfd]");
        world_fd(s, 402, FD_ANON, 49, "anon_inode:[signalfd]");
        world_fd(s, 402, FD_ANON, 49, "anon_inode:inotify");
        world_fd(s, 402, FD_ANON, 49, "anon_inode:[pidfd]")->pidfd = 400;
        world_fd(s, 402, FD_ANON, 49, "anon_inode:[pidfd]")->pidfd = -1;
        world_fd(s, 402, FD_MEMFD, 50, "/memfd:x");
        world_fd(s, 402, FD_NETLINK, 51, NULL);
        world_fd(s, 402, FD_PACKET, 52, NULL)->any_interface = true;
        world_fd(s, 402, FD_PIPE, 53, "pipe:[53]")->flags = O_WRONLY;
        world_fd(s, 400, FD_PIPE, 53, "pipe:[53]")->flags = O_RDONLY;
        world_fd(s, 402, FD_PIPE, 54, "pipe:[54]")->hung_up = true;
        world_fd(s, 402, FD_TCP, 55, NULL);
        world_tcp(s, 55, TCP_LISTEN, 0, 8080, 0, 0);
        world_fd(s, 402, FD_UDP, 56, NULL);
        world_fd(s, 402, FD_OTHER, NS, "net:[4026531836]");
        world_at(s, 402)->state = 'T';
        world_at(s, 402)->seccomp = 2;
        expect_ok(w);
}

static void test_unsavable_descriptors(void **state) {
        static const struct {
                FdKind kind;
                const char *target, *what;
        } rows[] = {
                        {FD_ANON, "anon_inode:[io_uring]", "io-uring"},
                        {FD_ANON, "anon_inode:[userfaultfd]", "userfaultfd"},
                        {FD_ANON, "anon_inode:[perf_event]", "perf-event"},
                        {FD_ANON, "anon_inode:bpf-prog", "bpf"},
                        {FD_ANON, "anon_inode:bpf_link", "bpf"},
                        {FD_ANON, "anon_inode:seccomp notify", "seccomp-listener"},
                        {FD_ANON, "anon_inode:[landlock-ruleset]", "landlock"},
                        {FD_ANON, "anon_inode:kvm-vcpu:0", "kvm"},
                        {FD_ANON, "anon_inode:[something new]", "descriptor"},
                        {FD_FILE, "/secretmem", "memfd-secret"},
                        {FD_SOCKET, "MPTCP", "mptcp"},
                        {FD_SOCKET, "MPTCPv6", "mptcp"},
                        {FD_SOCKET, "AF_VSOCK", "vsock"},
                        {FD_SOCKET, "XDP", "socket-kind"},
                        {FD_CHAR, "/dev/fuse", "device"},
                        {FD_BLOCK, "/dev/vda", "device"},
                        {FD_OTHER, "mnt:[4026539999]", "descriptor"},
        };
        World *w = *state;
        SnapFd *f = world_fd(w->s, 402, FD_ANON, 60, "");

        for (size_t i = 0; i < ELEMENTS(rows); i++) {
                free(f->target);
                f->target = strdup(rows[i].target);
                f->kind = rows[i].kind;
                expect(w, VERDICT_REFUSED, rows[i].what, "bash (402)");
        }
}

/* As many descriptors as one process may have must not hold up a shutdown, and the one that matters is
 * said. */
static void test_many(void **state) {
        struct timespec begin, end;
        World *w = *state;

        for (uint64_t ino = 1000; ino < 1000 + MANY; ino++) {
                world_fd(w->s, 402, FD_PIPE, ino, NULL)->flags = O_WRONLY;
                assert_int_equal(model_append(w->s->holders, w->s->n_holders,
                                              ((SnapHolder){FD_PIPE, ino, 800, O_RDONLY})),
                                 0);
        }
        world_fd(w->s, 402, FD_ANON, 5, "anon_inode:[io_uring]");
        snapshot_sort(w->s);
        clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &begin);
        look(w);
        clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &end);
        assert_int_equal(w->v.n_notes, 2);
        assert_non_null(strstr(w->v.notes[0].text, MANY == 6000 ? "and 5999 more" : "and 59999 more"));
        assert_int_equal(w->v.level, VERDICT_REFUSED);
        assert_string_equal(w->v.notes[1].what, "io-uring");
        assert_true(end.tv_sec - begin.tv_sec < 2);
}

/* Nor must as many programs. */
static void test_many_notes(void **state) {
        World *w = *state;

        for (size_t i = 0; i < VERDICT_NOTES_MAX + 5; i++)
                assert_int_equal(verdict_add(&w->v, VERDICT_DEGRADED, "x", NULL, "%zu", i), 0);
        assert_int_equal(w->v.n_notes, VERDICT_NOTES_MAX);
        assert_int_equal(verdict_add(&w->v, VERDICT_REFUSED, "y", NULL, "z"), 0);
        assert_int_equal(w->v.n_notes, VERDICT_NOTES_MAX + 1);
        assert_string_equal(w->v.notes[VERDICT_NOTES_MAX].what, "y");
}

static void test_pidfd(void **state) {
        World *w = *state;
        SnapFd *f = world_fd(w->s, 402, FD_ANON, 60, "anon_inode:[pidfd]");

        f->pidfd = 800;
        expect(w, VERDICT_REFUSED, "pidfd", "for process 800");
        f->pidfd = 400;
        expect_ok(w);
        w->facts.criu.pidfds = false;
        expect(w, VERDICT_REFUSED, "pidfd", "this CRIU");
}

static void test_files(void **state) {
        World *w = *state;
        SnapFd *f = world_fd(w->s, 402, FD_FILE, 60, "/tmp/a\nb");

        f->is_volatile = true; /* put back */
        expect_ok(w);
        f->deleted = true;
        expect_ok(w);
        f->deleted = false;
        f->kind = FD_DIR;
        f->fd = -1;
        expect_ok(w);
        f->mnt_foreign = true;
        expect(w, VERDICT_REFUSED, "foreign-mount", "the working directory");
        f->mnt_foreign = false;
        f->kind = FD_FIFO;
        f->fd = 0;
        expect_ok(w);
        f->unlinked = true;
        expect(w, VERDICT_REFUSED, "lost-name", "/tmp/a?b");
        f->is_volatile = false;
        f->path_replaced = true;
        expect_ok(w);
        f->unlinked = false;
        expect(w, VERDICT_REFUSED, "path-reused", "/tmp/a?b");
        f->deleted = true;
        expect_ok(w);
        f->kind = FD_DIR;
        expect(w, VERDICT_REFUSED, "directory-reused", "/tmp/a?b");
        f->deleted = false;
        f->path_replaced = false;
        f->mnt_foreign = true;
        expect(w, VERDICT_REFUSED, "foreign-mount", "/tmp/a?b");
}

/* Inherited by every child, and one note all the same. */
static void test_shared(void **state) {
        World *w = *state;

        world_fd(w->s, 400, FD_FILE, 60, "/srv/log")->path_replaced = true;
        world_fd(w->s, 402, FD_FILE, 60, "/srv/log")->path_replaced = true;
        world_fd(w->s, 402, FD_FILE, 60, "/srv/log")->path_replaced = true;
        expect(w, VERDICT_REFUSED, "path-reused", "sshd (400)");
        world_fd(w->s, 402, FD_FILE, 61, "/srv/other")->path_replaced = true;
        look(w);
        assert_int_equal(w->v.n_notes, 2);
        world_fd(w->s, 402, FD_FILE, 61, "/srv/another device")->path_replaced = true;
        world_at(w->s, 402)->fds[3].dev = 9;
        look(w);
        assert_int_equal(w->v.n_notes, 3);
}

static void test_maps(void **state) {
        World *w = *state;
        SnapMap m = {.path = strdup("/dev/shm/x"), .is_volatile = true};
        SnapProcess *p = world_at(w->s, 402);

        assert_int_equal(model_append(p->maps, p->n_maps, m), 0);
        expect_ok(w); /* put back */
        p->maps[0].deleted = true;
        expect_ok(w);
        p->maps[0].deleted = false;
        p->maps[0].unlinked = true;
        expect(w, VERDICT_REFUSED, "lost-name", "maps a file");
        p->maps[0].is_volatile = false;
        expect_ok(w);
        p->maps[0].unlinked = false;
        p->maps[0].path_replaced = true;
        expect(w, VERDICT_REFUSED, "path-reused", "maps a file");
}

static void test_processes(void **state) {
        World *w = *state;
        SnapProcess *p = world_at(w->s, 402);

        p->tracer = 800;
        expect(w, VERDICT_REFUSED, "traced", "by tmux (800)");
        p->tracer = 0;
        p->state = 'D';
        expect(w, VERDICT_OK, "busy", "uninterruptible wait");
        p->state = 'S';
        p->ns_mnt = 1;
        expect(w, VERDICT_REFUSED, "namespace", "its own mount namespace");
        p->ns_mnt = NS;
        p->ns_pid = 1;
        expect(w, VERDICT_REFUSED, "namespace", "its own PID namespace");
        p->ns_pid = NS;
        p->sysv_shm = 1;
        expect(w, VERDICT_REFUSED, "sysv-shm", "SysV");
        p->sysv_shm = 0;
        p->seccomp = 3;
        look(w);
        assert_string_equal(w->v.notes[0].what, "seccomp");
        p->seccomp = 0;
        p->no_new_privs = true;
        expect_ok(w);
        w->facts.criu.no_new_privs = false;
        expect(w, VERDICT_REFUSED, "no-new-privs", "has no_new_privs set");
        p->no_new_privs = false;
        expect_ok(w);
        p->ambient = true;
        expect_ok(w);
        w->facts.criu.ambient = false;
        expect(w, VERDICT_DEGRADED, "ambient-capabilities", "will lose its ambient");
        w->facts.criu.ambient = true;
        expect_ok(w);
        p->ambient = false;
        p->personality = true;
        expect(w, VERDICT_DEGRADED, "personality", "execution domain");
        p->personality = false;
        expect_ok(w);
        p->sid = 800;
        expect(w, VERDICT_REFUSED, "session-leader", "process 800");
        p->sid = 799; /* dead: CRIU makes a helper */
        expect_ok(w);
        p->state = 'Z'; /* a zombie has nothing left to be refused for */
        p->ns_mnt = 1;
        expect_ok(w);
}

/* It is refused alone: others are not made to stay behind by somebody's thousand files. */
static void test_too_much(void **state) {
        World *w = *state;

        world_at(w->s, 402)->beyond = true;
        expect(w, VERDICT_REFUSED, "too-much", "402");
}

static void test_shell_job(void **state) {
        World *w = *state;

        world_at(w->s, 402)->sid = 400;
        w->tree.root_pid = 402;
        w->tree.root_start = 4020;
        expect_ok(w);
}

static void test_terminals(void **state) {
        World *w = *state;
        SnapFd *f = world_fd(w->s, 402, FD_TTY, 60, "/dev/pts/7");

        f->pty_index = 7;
        f->rdev = makedev(136, 7);
        expect(w, VERDICT_DEGRADED, "tty-outside", "uses terminal /dev/pts/7, whose other side is outside");
        assert_int_equal(model_append(w->s->holders, w->s->n_holders,
                                      ((SnapHolder){FD_PTMX, 7, 800, O_RDWR})),
                         0);
        expect(w, VERDICT_DEGRADED, "tty-outside", "of tmux (800)");
        f->hung_up = true; /* nobody has its other side, and nothing will be lost */
        expect_ok(w);
        world_fd(w->s, 400, FD_PTMX, 61, "/dev/ptmx")->pty_index = 7; /* by now another one's number */
        expect(w, VERDICT_REFUSED, "tty-reused", "another one in the tree has the same number");
        f->pty_index = -1;
        f->rdev = makedev(4, 64);
        expect(w, VERDICT_REFUSED, "console", "hardware");
}

/* One's own terminal, by a name that tells nobody which it is. */
static void test_own_terminal(void **state) {
        World *w = *state;
        SnapFd *f = world_fd(w->s, 402, FD_TTY, 60, "/dev/tty");

        world_fd(w->s, 400, FD_PTMX, 61, "/dev/ptmx")->pty_index = 3;
        world_at(w->s, 402)->tty_index = 3;
        f->pty_index = -1;
        f->rdev = makedev(5, 0);
        expect_ok(w);
        f->hung_up = true;
        expect(w, VERDICT_REFUSED, "own-tty", "not in the tree");
        f->hung_up = false;
        world_at(w->s, 402)->tty_index = 7;
        expect(w, VERDICT_REFUSED, "own-tty", "not in the tree");
}

static void test_pipes(void **state) {
        World *w = *state;
        SnapFd *f = world_fd(w->s, 402, FD_PIPE, 60, "pipe:[60]");

        f->flags = O_WRONLY;
        f->hung_up = true;
        expect_ok(w);
        f->hung_up = false; /* and who has it need not be known */
        expect(w, VERDICT_DEGRADED, "pipe-outside", "whose other end is outside");
        assert_int_equal(model_append(w->s->holders, w->s->n_holders,
                                      ((SnapHolder){FD_PIPE, 60, 800, O_RDONLY})),
                         0);
        expect(w, VERDICT_DEGRADED, "pipe-outside", "of tmux (800)");
        f->flags |= O_DIRECT;
        expect(w, VERDICT_REFUSED, "pipe-packets", "O_DIRECT");
}

static void test_unix(void **state) {
        World *w = *state;
        SnapUnix *u, *peer;

        world_fd(w->s, 402, FD_UNIX, 60, NULL);
        world_unix(w->s, 60, 90, SOCK_STREAM, NULL);
        world_unix(w->s, 90, 60, SOCK_STREAM, NULL);
        u = w->s->unixes;
        peer = u + 1;
        expect(w, VERDICT_DEGRADED, "stream-outside", "a socket outside");
        peer->path = (char *)RUN_VARLINK_USERS; /* who asks us for a reboot loses nothing by that */
        expect(w, VERDICT_OK, "varlink-stream", "is a client of carryover");
        peer->path = NULL;
        peer->path = strdup("/run/systemd/journal/stdout");
        expect(w, VERDICT_OK, "journal-stream", "this connection is opened again");
        free(peer->path);
        peer->path = strdup("/run/dbus/system_bus_socket");
        expect(w, VERDICT_DEGRADED, "bus-connection", "the system D-Bus;");
        free(peer->path);
        peer->path = strdup("/run/user/1000/bus");
        expect(w, VERDICT_DEGRADED, "bus-connection", "the user's D-Bus");
        u->type = SOCK_SEQPACKET;
        expect(w, VERDICT_REFUSED, "unix-seqpacket", "SEQPACKET socket");
        u->type = SOCK_DGRAM;
        expect_ok(w);
        free(TAKE(peer->path));
        expect(w, VERDICT_REFUSED, "unix-unnamed", "unnamed socket");
        u->type = SOCK_STREAM;
        u->peer = 0;
        expect(w, VERDICT_REFUSED, "unix-unaccepted", "not accepted");
        u->dead_peer = true;
        expect_ok(w);
        u->state = TCP_LISTEN;
        u->path = strdup("/run/agent");
        expect_ok(w);
        u->is_volatile = true; /* its directory is put back, and CRIU binds it */
        expect_ok(w);
}

static void test_tcp(void **state) {
        World *w = *state;
        SnapInet *i;

        world_fd(w->s, 402, FD_TCP, 60, NULL);
        i = world_tcp(w->s, 60, TCP_ESTABLISHED, 0x0a000001, 99, 0x0a000001, 5432);
        expect_ok(w);
        i->to_self = true;
        expect(w, VERDICT_DEGRADED, "loopback", "port 5432");
        world_fd(w->s, 400, FD_TCP, 61, NULL);
        world_tcp(w->s, 61, TCP_ESTABLISHED, 0x0a000001, 5432, 0x0a000001, 99)->to_self = true;
        expect_ok(w);
        i = w->s->inets;
        i->state = TCP_LISTEN;
        i->rqueue = 2;
        i[1].state = TCP_CLOSE;
        expect(w, VERDICT_REFUSED, "accept-queue", "2 connections have not been accepted");
        i->state = TCP_ESTABLISHED;
        i->family = AF_INET6;
        memcpy(i->local, "\xfe\x80\0\0\0\0\0\0\0\0\0\0\0\0\0\x01", 16);
        expect(w, VERDICT_REFUSED, "link-local", "link-local");
        w->s->no_diag = true;
        look(w);
        assert_string_equal(w->v.notes[w->v.n_notes - 1].what, "socket-diag");
        w->s->no_diag = false;
        w->s->sockets_late = true;
        look(w);
        assert_string_equal(w->v.notes[w->v.n_notes - 1].what, "sockets-late");
}

static void test_netlink(void **state) {
        World *w = *state;

        world_fd(w->s, 402, FD_NETLINK, 60, NULL)->unread = 7;
        expect(w, VERDICT_REFUSED, "netlink-unread", "7 unread bytes");
}

static void test_space(void **state) {
        World *w = *state;
        PreflightNeeds needs;
        SnapMap m = {.path = strdup("/lib/a"), .deleted = true, .dev = 1, .ino = 2, .size = 50u << 20};
        SnapProcess *p = world_at(w->s, 402);
        SnapFd *f = world_fd(w->s, 400, FD_FILE, 2, "/lib/a");

        f->dev = 1;
        f->deleted = true;
        f->size = f->used = 50u << 20;
        assert_int_equal(model_append(p->maps, p->n_maps, m), 0);
        p->rss_bytes = 100u << 20;
        assert_int_equal(preflight_needs(w->s, &w->tree, &needs), 0);
        assert_true(needs.bytes == UINT64_C(180) << 20); /* the ghost counts once */
        assert_true(needs.ghost_max == UINT64_C(50) << 20);
        w->facts.store_free = needs.bytes;
        expect_ok(w);
        w->facts.store_free--;
        expect(w, VERDICT_REFUSED, "space", "179 MiB free; the images of this tree need about 180 MiB");
        w->facts.store_free = UINT64_MAX;
        expect_ok(w);
        w->facts.encrypt = true; /* in memory too, then */
        w->facts.memory_free = needs.bytes;
        expect_ok(w);
        w->facts.memory_free--;
        expect(w, VERDICT_REFUSED, "memory", "need about 180 MiB; 179 MiB are available");
        w->facts.encrypt = false;
        f->used = UINT64_C(1) << 32;
        f->size = p->maps[0].size = UINT64_C(1) << 32;
        expect(w, VERDICT_REFUSED, "ghost-size", "4096 MiB");
        f->size = p->maps[0].size = UINT32_MAX;
        expect_ok(w);
        f->deleted = p->maps[0].deleted =
                        false; /* it has a name, in memory: it is saved, but CRIU makes no ghost */
        f->is_volatile = p->maps[0].is_volatile = true;
        f->size = p->maps[0].size = 50u << 20;
        assert_int_equal(preflight_needs(w->s, &w->tree, &needs), 0);
        assert_true(needs.bytes > UINT64_C(180) << 20); /* and a little for its name */
        assert_true(needs.bytes < UINT64_C(181) << 20);
        assert_true(needs.ghost_max == 0);
        p->rss_bytes = UINT64_MAX - 1;
        assert_int_equal(preflight_needs(w->s, &w->tree, &needs), 0);
        assert_true(needs.bytes == UINT64_MAX);
}

static void test_gone(void **state) {
        World *w = *state;

        w->tree.root_start++;
        expect(w, VERDICT_REFUSED, "gone", "process 400 has ended");
        w->tree.root_pid = 12345;
        expect(w, VERDICT_REFUSED, "gone", "process 12345 has ended");
}

static void test_counts(void **state) {
        World *w = *state;

        world_fd(w->s, 400, FD_FILE, 1, "/x");
        world_fd(w->s, 402, FD_FILE, 2, "/y");
        w->facts.max_processes = w->facts.max_files = 2;
        expect_ok(w);
        world_at(w->s, 402)->n_open = 3; /* counted, and therefore not looked at */
        expect(w, VERDICT_REFUSED, "files", "has more than 2 files open, which is the limit");
        w->facts.max_files = 0;
        w->facts.max_processes = 1;
        expect(w, VERDICT_REFUSED, "processes", "has 2 processes; the limit is 1");
}

static void test_memory_file(void **state) {
        World *w = *state;
        SnapFd *f = world_fd(w->s, 402, FD_MEMFD, 50, "/memfd:x");

        f->size = UINT64_C(1) << 40; /* mostly a hole */
        f->used = 800 << 20;
        expect_ok(w);
        f->used = 900 << 20; /* whether it is mapped or not */
        expect(w, VERDICT_REFUSED, "space", "about 1080 MiB");
}

#define N_CLAIMS 5

/* Two users, of whom joe asks for most. */
static void claim(const PreflightFacts *f, const char *refused, Candidate c[static N_CLAIMS]) {
        static Tree joe = TREE__INIT, mary = TREE__INIT;

        joe.uid = 1000;
        mary.uid = 1001;
        for (size_t i = 0; i < N_CLAIMS; i++)
                c[i] = (Candidate){.tree = i < 3 ? &joe : &mary, .needs.bytes = (i + 1) << 20};
        c[1].needs.bytes = 40 << 20; /* joe: 1, 40, 3; mary: 4, 5 */
        assert_int_equal(preflight_limits(f, c, N_CLAIMS), 0);
        for (size_t i = 0; i < N_CLAIMS; i++) {
                const char *what = c[i].verdict.n_notes ? c[i].verdict.notes[0].what : "";

                if (strncmp(what,
                            refused[i] == 'u'   ? "user-limit"
                            : refused[i] == 'a' ? "space-all"
                                                : "",
                            20))
                        fail_msg("claim %zu: %s", i, what);
                assert_int_equal(c[i].verdict.level == VERDICT_REFUSED, refused[i] != '.');
                verdict_done(&c[i].verdict);
        }
}

/* Made at once: one by one would take minutes where each is copied. */
static void put_connections(Snapshot *s, pid_t pid, size_t first, size_t n) {
        SnapProcess *p = world_at(s, pid);

        p->fds = reallocarray(p->fds, p->n_fds + n, sizeof *p->fds);
        s->inets = reallocarray(s->inets, s->n_inets + n, sizeof *s->inets);
        assert_true(p->fds && s->inets);
        for (size_t i = first; i < first + n; i++) {
                uint64_t ino = 100000 + i;

                p->fds[p->n_fds++] = (SnapFd){.fd = (int)i,
                                              .kind = FD_TCP,
                                              .ino = ino,
                                              .pty_index = -1,
                                              .mnt_id = 30,
                                              .target = strdup("")};
                s->inets[s->n_inets++] = (SnapInet){.ino = ino,
                                                    .family = AF_INET,
                                                    .protocol = IPPROTO_TCP,
                                                    .state = TCP_ESTABLISHED,
                                                    .local = {10, 0, 0, 1},
                                                    .remote = {10, 0, 0, 2},
                                                    .local_port = 80,
                                                    .remote_port = (uint16_t)(2000 + i)};
        }
        snapshot_sort(s);
}

static void test_connections(void **state) {
        World *w = *state;

        put_connections(w->s, 402, 0, 16384);
        look(w);
        assert_int_equal(w->v.n_notes, 0);
        put_connections(w->s, 402, 16384, 1);
        expect(w, VERDICT_REFUSED, "connections", "has 16385 TCP connections");
}

static void test_limits(void **state) {
        PreflightFacts f = {.store_free = 100 << 20, .max_use = 100 << 20, .max_use_per_user = 60 << 20};
        Candidate c[N_CLAIMS];

        (void)state;
        claim(&f, ".....", c);
        /* 47 are left: 16 of them to joe, up to his limit; the half of them to mary. */
        assert_int_equal(c[1].limit.bytes, (40 << 20) + (16 << 20) / 3);
        assert_int_equal(c[4].limit.bytes, (5 << 20) + ((UINT64_C(47) << 20) / 2) / 2);
        f.max_use_per_user = 30 << 20;
        claim(&f, ".u...", c);
        f.max_use_per_user = 3 << 20;
        claim(&f, ".uuuu", c);
        f.max_use_per_user = 60 << 20;
        f.max_use = 20 << 20;
        claim(&f, ".a...", c);
        f.store_free = 5 << 20; /* then mary asks for more, and at last for as much */
        claim(&f, ".a.aa", c);
        f.store_free = 0;
        claim(&f, "aaaaa", c);
}

/* All are put back while the boot waits for it. */
static void test_limit_of_names(void **state) {
        PreflightFacts f = {.store_free = 100 << 20, .max_use = 100 << 20, .max_use_per_user = 60 << 20};
        Tree joe = TREE__INIT, mary = TREE__INIT;
        Candidate c[3] = {{.tree = &joe, .needs.names = 500},
                          {.tree = &joe, .needs.names = 700},
                          {.tree = &mary, .needs.names = 900}};

        (void)state;
        joe.uid = 1000;
        mary.uid = 1001;
        assert_int_equal(preflight_limits(&f, c, 3), 0);
        assert_int_equal(c[0].verdict.n_notes + c[1].verdict.n_notes + c[2].verdict.n_notes, 0);
        f.max_files = 1000;
        assert_int_equal(preflight_limits(&f, c, 3), 0);
        assert_int_equal(c[0].verdict.n_notes + c[2].verdict.n_notes, 0);
        assert_int_equal(c[1].verdict.level, VERDICT_REFUSED);
        assert_string_equal(c[1].verdict.notes[0].what, "user-names");
        assert_non_null(strstr(c[1].verdict.notes[0].text, "user 1000"));
        assert_int_equal(c[0].limit.names, 1000);
        assert_int_equal(c[2].limit.names, 1000);
        verdict_done(&c[1].verdict);
}

/* Directories cost as files do, and are counted once. */
static void test_names(void **state) {
        World *w = *state;
        Tree tree = TREE__INIT;
        PreflightNeeds before, after;
        SnapMap map = {.path = strdup("/tmp/a/b/x"), .is_volatile = true};
        SnapUnix *u;

        tree.root_pid = 402;
        assert_int_equal(preflight_needs(w->s, &tree, &before), 0);
        assert_int_equal(before.names, 0);
        world_fd(w->s, 402, FD_FILE, 50, "/tmp/a/b/x")->is_volatile = true;
        world_fd(w->s, 402, FD_FILE, 51, "/tmp/a/b/y")->is_volatile = true;
        world_fd(w->s, 402, FD_DIR, 52, "/tmp/a.b/z")->is_volatile = true;
        world_fd(w->s, 402, FD_FILE, 53, "/home/a/b/c")->is_volatile = false;
        world_fd(w->s, 402, FD_UNIX, 54, "");
        u = world_unix(w->s, 54, 0, SOCK_STREAM, "/run/s/socket");
        u->state = TCP_LISTEN;
        u->is_volatile = true;
        assert_int_equal(model_append(world_at(w->s, 402)->maps, world_at(w->s, 402)->n_maps, map), 0);
        snapshot_sort(w->s);
        assert_int_equal(preflight_needs(w->s, &tree, &after), 0);
        assert_int_equal(after.names, 10); /* tmp, a, b, x, y; a.b, z; run, s, socket */
        assert_true(after.bytes > before.bytes + 10 * 3072);

        w->facts.max_files = 10;
        expect_ok(w);
        w->facts.max_files = 9;
        expect(w, VERDICT_REFUSED, "names", "about 10 files and directories");
}

static void test_machine(void **state) {
        World *w = *state;
        PreflightFacts f = {.known = FACTS_ALL, .store_free = 10 << 20};

        assert_int_equal(preflight_machine(&f, &w->v), 0);
        assert_int_equal(w->v.n_notes, 0);
        f.wrong[FACT_KEXEC] = strdup("lockdown");
        f.wrong[FACT_KERNEL] = strdup("no kernel");
        assert_int_equal(preflight_machine(&f, &w->v), 0);
        assert_int_equal(w->v.level, VERDICT_DEGRADED);
        assert_int_equal(w->v.n_notes, 2);
        verdict_done(&w->v);
        f.must_kexec = true;
        assert_int_equal(preflight_machine(&f, &w->v), 0);
        assert_int_equal(w->v.notes[0].level, VERDICT_REFUSED);
        assert_int_equal(w->v.notes[1].level, VERDICT_REFUSED);
        verdict_done(&w->v);
        f.must_kexec = false;
        f.wrong[FACT_TARGET] = strdup("CRIU is too old");
        assert_int_equal(preflight_machine(&f, &w->v), 0);
        assert_string_equal(w->v.notes[0].what, "target");
        assert_int_equal(w->v.notes[0].level, VERDICT_REFUSED);
        verdict_done(&w->v);
        f.wrong[FACT_TARGET] = (free(f.wrong[FACT_TARGET]), NULL);
        f.wrong[FACT_HOLD] = strdup("no module");
        assert_int_equal(preflight_machine(&f, &w->v), 0);
        assert_string_equal(w->v.notes[0].what, "hold");
        assert_int_equal(w->v.notes[0].level, VERDICT_REFUSED);
        verdict_done(&w->v);
        f.wrong[FACT_HOLD] = (free(f.wrong[FACT_HOLD]), NULL);
        f.wrong[FACT_CRIU] = strdup("no criu");
        assert_int_equal(preflight_machine(&f, &w->v), 0);
        assert_int_equal(w->v.level, VERDICT_REFUSED);
        assert_string_equal(w->v.notes[0].what, "criu");
        verdict_done(&w->v);
        f.wrong[FACT_STORE] = strdup("store is read-only");
        assert_int_equal(preflight_machine(&f, &w->v), 0);
        assert_string_equal(w->v.notes[1].what, "store");
        assert_int_equal(w->v.n_notes, 4);
        preflight_facts_done(&f);
        verdict_done(&w->v);
        f.known = FACTS_ALL;
        f.wrong[FACT_RETRY] = strdup("session-4 is not back");
        f.wrong[FACT_WAITING] = strdup("session-5 waits");
        f.wrong[FACT_PROFILES] = strdup("the profiles cannot be read");
        assert_int_equal(preflight_machine(&f, &w->v), 0);
        assert_string_equal(w->v.notes[2].what, "profiles");
        assert_string_equal(w->v.notes[0].what, "retry-left");
        assert_string_equal(w->v.notes[1].what, "waiting");
        assert_int_equal(w->v.level, VERDICT_DEGRADED);
        verdict_done(&w->v);
        f.wrong[FACT_SERVICE] = strdup("carryover.service is inactive");
        assert_int_equal(preflight_machine(&f, &w->v), 0);
        assert_string_equal(w->v.notes[0].what, "service");
        assert_string_equal(w->v.notes[0].remedy, "run systemctl start carryover.service");
        assert_int_equal(w->v.level, VERDICT_REFUSED);
        verdict_done(&w->v);
        f.masked = true;
        assert_int_equal(preflight_machine(&f, &w->v), 0);
        assert_non_null(strstr(w->v.notes[0].remedy, "run systemctl unmask carryover.service"));
        preflight_facts_done(&f);
}

/* Its key has one way only. */
static void test_encryption(void **state) {
        World *w = *state;
        PreflightFacts f = {.known = FACTS_ALL,
                            .store_free = 10 << 20,
                            .max_use = 10 << 20,
                            .max_use_per_user = 10 << 20,
                            .memory_free = 5 << 20,
                            .encrypt = true};
        Tree tree = TREE__INIT;
        Candidate c[2] = {{.tree = &tree, .needs.bytes = 2 << 20}, {.tree = &tree, .needs.bytes = 3 << 20}};

        assert_int_equal(preflight_machine(&f, &w->v), 0);
        assert_int_equal(w->v.level, VERDICT_OK);
        assert_string_equal(w->v.notes[0].what, "encrypted");
        verdict_done(&w->v);
        assert_int_equal(preflight_limits(&f, c, 2), 0);
        assert_int_equal(c[0].verdict.n_notes + c[1].verdict.n_notes, 0);
        c[1].needs.bytes++;
        assert_int_equal(preflight_limits(&f, c, 2), 0);
        assert_int_equal(c[0].verdict.n_notes, 0);
        assert_string_equal(c[1].verdict.notes[0].what, "memory-all");
        assert_int_equal(c[1].verdict.level, VERDICT_REFUSED);
        verdict_done(&c[1].verdict);
        f.wrong[FACT_KEXEC] = strdup("lockdown");
        assert_int_equal(preflight_machine(&f, &w->v), 0);
        assert_int_equal(w->v.notes[0].level, VERDICT_REFUSED);
        assert_non_null(strstr(w->v.notes[0].remedy, "Encrypt=no"));
        verdict_done(&w->v);
        f.wrong[FACT_KEXEC] = (free(f.wrong[FACT_KEXEC]), NULL);
        f.wrong[FACT_ENCRYPT] = strdup("no kexec");
        assert_int_equal(preflight_machine(&f, &w->v), 0);
        assert_int_equal(w->v.n_notes, 1);
        assert_int_equal(w->v.notes[0].level, VERDICT_REFUSED);
        preflight_facts_done(&f);
}

int main(void) {
#define T(x) cmocka_unit_test_setup_teardown(x, setup, teardown)
        const struct CMUnitTest tests[] = {
                        T(test_ordinary_session),
                        T(test_unreadable),
                        T(test_frozen),
                        T(test_counts),
                        T(test_memory_file),
                        T(test_connections),
                        T(test_limits),
                        T(test_limit_of_names),
                        T(test_names),
                        T(test_unsavable_descriptors),
                        T(test_many),
                        T(test_pidfd),
                        T(test_many_notes),
                        T(test_files),
                        T(test_maps),
                        T(test_shared),
                        T(test_processes),
                        T(test_shell_job),
                        T(test_too_much),
                        T(test_terminals),
                        T(test_own_terminal),
                        T(test_pipes),
                        T(test_unix),
                        T(test_tcp),
                        T(test_netlink),
                        T(test_space),
                        T(test_encryption),
                        T(test_gone),
                        T(test_machine),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}

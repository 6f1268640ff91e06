/* SPDX-License-Identifier: GPL-2.0-or-later */

/* What cannot be cured in the images is named before: one test for each kind (docs/KINDS.md). */

#include "config-build.h"
#include "tests/unit/preflight.h"

#include <fcntl.h>
#include <signal.h>

static void test_above_tcp(void **state) {
        World *w = *state;
        SnapInet *i;

        world_fd(w->s, 402, FD_TCP, 60, NULL);
        i = world_tcp(w->s, 60, TCP_ESTABLISHED, 0x0a000001, 7443, 0x0a000002, 99);
        expect_ok(w);
        strcpy(i->ulp, "tls");
        expect(w, VERDICT_REFUSED, "tcp-ulp", "bash (402) has a TCP connection with the kernel's 'tls'");
        assert_non_null(strstr(w->v.notes[0].remedy, "without kernel TLS"));
        strcpy(i->ulp, "smc");
        expect(w, VERDICT_REFUSED, "tcp-ulp", "'smc'");
        assert_null(strstr(w->v.notes[0].remedy, "TLS"));
        i->ulp[0] = '\0';
        i->is_signed = true;
        expect(w, VERDICT_REFUSED, "tcp-signature", "port 7443");
        i->state = TCP_LISTEN;
        expect(w, VERDICT_REFUSED, "tcp-signature", "port 7443");
}

static void test_options(void **state) {
        World *w = *state;
        SnapFd *f = world_fd(w->s, 402, FD_TCP, 60, NULL);
        SnapInet *i = world_tcp(w->s, 60, TCP_LISTEN, 0x0a000001, 7443, 0, 0);

        expect_ok(w);
        f->options = OPTION_NODELAY;
        expect_ok(w);
        w->facts.criu.tcp_options = false;
        expect(w, VERDICT_DEGRADED, "socket-option", "has set TCP_NODELAY of a socket");
        f->options = OPTION_CORK;
        expect(w, VERDICT_DEGRADED, "socket-option", "has set TCP_CORK of a socket");
        i->state = TCP_ESTABLISHED;
        expect_ok(w);
        i->state = TCP_LISTEN;
        f->options = OPTION_USER_TIMEOUT;
        expect(w, VERDICT_DEGRADED, "socket-option", "bash (402) has set TCP_USER_TIMEOUT of a socket");
        f->options = OPTION_MULTICAST_LOOP;
        expect(w, VERDICT_DEGRADED, "socket-option", "has set IP_MULTICAST_LOOP of a socket");
        f->options = 0;
        f->is_signed = true;
        expect(w, VERDICT_REFUSED, "tcp-signature", "port 7443");
        f->is_signed = false;
        f->kind = FD_UDP;
        f->options = OPTION_MULTICAST_IF;
        expect(w, VERDICT_DEGRADED, "socket-option", "has set IP_MULTICAST_IF of a socket");
        f->is_corked = true;
        expect(w, VERDICT_REFUSED, "udp-corked", "collects a packet");
}

static void test_memfd(void **state) {
        World *w = *state;
        SnapFd *f = world_fd(w->s, 402, FD_MEMFD, 60, "/memfd:x");

        f->mode = S_IFREG | 0777;
        f->is_program = true;
        expect_ok(w);
        w->facts.criu.memfds = false;
        expect(w, VERDICT_DEGRADED, "memfd-program", "has a program in memory (/memfd:x)");
        f->is_program = false;
        expect_ok(w);
        f->mode = S_IFREG | 0642;
        expect(w, VERDICT_DEGRADED, "memfd-mode", "of mode 642; it will have mode 777");
}

static void test_stopped(void **state) {
        World *w = *state;
        SnapProcess *p = world_at(w->s, 402);

        p->stop_signal = SIGSTOP;
        expect_ok(w);
        p->stop_signal = SIGTSTP;
        expect_ok(w);
        p->stop_signal = SIGTTIN;
        expect(w, VERDICT_OK, "stop-signal", "bash (402) was stopped by SIGTTIN");
        p->stop_signal = SIGTSTP;
        w->facts.criu.stops = false;
        expect(w, VERDICT_OK, "stop-signal", "bash (402) was stopped by SIGTSTP");
}

static void test_reset_on_fork(void **state) {
        World *w = *state;

        world_at(w->s, 402)->resets = true;
        expect_ok(w);
        w->facts.criu.resets = false;
        expect(w, VERDICT_REFUSED, "reset-on-fork", "SCHED_RESET_ON_FORK");
}

static void test_huge_pages_off(void **state) {
        World *w = *state;

        world_at(w->s, 402)->no_thp = true;
        expect_ok(w);
        w->facts.criu.thp = false;
        expect(w, VERDICT_DEGRADED, "transparent-huge-pages", "bash (402) will get transparent huge pages");
}

static void test_speculation(void **state) {
        World *w = *state;

        world_at(w->s, 402)->guarded = true;
        expect(w, VERDICT_DEGRADED, "speculation", "bash (402) has asked the kernel to restrict");
}

static void test_lost(void **state) {
        World *w = *state;

        world_at(w->s, 402)->has_core = true;
        expect(w, VERDICT_DEGRADED, "core-scheduling", "bash (402) will no longer have the processor cores");
        world_at(w->s, 402)->has_core = false;
        world_at(w->s, 402)->numa = true;
        expect(w, VERDICT_DEGRADED, "memory-policy", "the memory of bash (402)");
        world_at(w->s, 402)->numa = false;
        world_at(w->s, 402)->sealed = true;
        expect(w, VERDICT_DEGRADED, "sealed-memory", "memory of bash (402) that is sealed");
}

static void test_32bit(void **state) {
        World *w = *state;

        world_at(w->s, 402)->is_32bit = true;
        expect(w, VERDICT_DEGRADED, "interrupted-call", "in which bash (402) waits");
}

static void test_unread_events(void **state) {
        World *w = *state;
        SnapFd *f = world_fd(w->s, 402, FD_ANON, 60, "anon_inode:inotify");

        expect_ok(w);
        f->unread = 16;
        expect(w, VERDICT_DEGRADED, "inotify-unread", "bash (402) has not read all events");
}

static void add_watch(World *w, pid_t pid, const char *path) {
        SnapProcess *p = world_at(w->s, pid);
        char *copy = strdup(path);

        assert_non_null(copy);
        assert_int_equal(model_append(p->watches, p->n_watches, copy), 0);
}

/* It goes along with who has it open, whoever of the tree that is. */
static void test_watched_files(void **state) {
        World *w = *state;
        SnapFd *f;

        add_watch(w, 402, "/dev/shm/b");
        expect(w, VERDICT_REFUSED, "inotify-file", "bash (402) watches /dev/shm/b by inotify");
        f = world_fd(w->s, 400, FD_FILE, 61, "/dev/shm/b");
        expect(w, VERDICT_REFUSED, "inotify-file", "/dev/shm/b"); /* another one, on a disk */
        f->is_volatile = true;
        expect_ok(w);
        add_watch(w, 402, "/dev/shm/a");
        add_watch(w, 402, "/dev/shm/c");
        expect(w, VERDICT_REFUSED, "inotify-file", "bash (402) watches /dev/shm/a");
        world_fd(w->s, 402, FD_FILE, 62, "/dev/shm/c")->is_volatile = true;
        world_fd(w->s, 402, FD_FILE, 63, "/dev/shm/a")->is_volatile = true;
        expect_ok(w);
        f->deleted = true;
        expect(w, VERDICT_REFUSED, "inotify-file", "/dev/shm/b");
}

static void test_last_ack(void **state) {
        World *w = *state;

        world_fd(w->s, 402, FD_TCP, 60, NULL);
        world_tcp(w->s, 60, TCP_LAST_ACK, 0x0a000001, 99, 0x0a000002, 80);
        expect(w, VERDICT_DEGRADED, "last-ack", "to 10.0.0.2 that is being closed");
}

static void test_epoll(void **state) {
        World *w = *state;
        SnapFd *f = world_fd(w->s, 400, FD_ANON, 49, "anon_inode:[eventpoll]");

        expect_ok(w);
        f->has_stray = true;
        f->stray_ino = 60;
        expect(w, VERDICT_REFUSED, "epoll-shared", "that only another process has open");
        world_fd(w->s, 402, FD_TCP, 60, NULL);
        expect(w, VERDICT_REFUSED, "epoll-shared",
               "sshd (400) has an epoll (descriptor 0) that watches a file that only bash (402) has open");
}

/* As syslog's, which is a .socket unit's; and one of somebody who starts later. */
static void test_late_peer(void **state) {
        World *w = *state;

        world_fd(w->s, 402, FD_UNIX, 60, NULL);
        world_unix(w->s, 60, 90, SOCK_DGRAM, NULL);
        world_unix(w->s, 90, 0, SOCK_DGRAM, "/run/late");
        expect_ok(w);
        assert_int_equal(model_append(w->s->holders, w->s->n_holders,
                                      ((SnapHolder){FD_UNIX, 90, 800, O_RDWR})),
                         0);
        expect(w, VERDICT_REFUSED, "unix-late", "connected to /run/late of tmux (800) outside the tree");
        assert_int_equal(
                        model_append(w->s->holders, w->s->n_holders, ((SnapHolder){FD_UNIX, 90, 1, O_RDWR})),
                        0);
        expect_ok(w);
        snapshot_sort(w->s);
        expect_ok(w);
}

static void test_in_flight(void **state) {
        World *w = *state;
        SnapFd *f = world_fd(w->s, 402, FD_UNIX, 60, NULL);

        world_unix(w->s, 60, 0, SOCK_STREAM, NULL)->dead_peer = true;
        expect_ok(w);
        f->in_flight = 2;
        expect(w, VERDICT_REFUSED, "files-in-flight", FILES_IN_FLIGHT_TEXT " (2 files, of bash (402))");
        w->facts.frozen = true;
        expect(w, VERDICT_REFUSED, "files-in-flight", "2 files");
}

static void test_trapped(void **state) {
        World *w = *state;

        world_at(w->s, 402)->trapped = true;
        expect(w, VERDICT_REFUSED, "pending-trap", "bash (402) has a pending SIGTRAP");
        w->facts.frozen = true;
        expect_ok(w);
}

static void test_bus(void **state) {
        World *w = *state;
        SnapProcess *p = world_at(w->s, 402);

        world_fd(w->s, 402, FD_UNIX, 60, NULL);
        world_unix(w->s, 60, 90, SOCK_STREAM, NULL);
        world_unix(w->s, 90, 60, SOCK_STREAM, "/run/dbus/system_bus_socket");
        expect(w, VERDICT_DEGRADED, "bus-connection", "the system D-Bus; this connection will be closed");
        p->libraries = LIBRARY_DBUS;
        expect(w, VERDICT_DEGRADED, "bus-exit",
               "by libdbus; this connection will be closed, and the program "
               "will probably exit");
        p->libraries = LIBRARY_DBUS | LIBRARY_GIO;
        expect(w, VERDICT_DEGRADED, "bus-exit", "by GLib");
        free(w->s->unixes[1].path);
        w->s->unixes[1].path = strdup("/run/user/1000/bus");
        expect(w, VERDICT_DEGRADED, "bus-exit", "the user's D-Bus by GLib");
}

static void test_journal(void **state) {
        World *w = *state;
        SnapFd *f = world_fd(w->s, 402, FD_FILE, 60, "/var/log/journal/0123/system.journal");

        expect(w, VERDICT_DEGRADED, "journal-reader", "bash (402) reads the system journal");
        strcpy(f->target, "/run/log/journal/0123/system.journal");
        expect(w, VERDICT_DEGRADED, "journal-reader", "will not get new messages");
        world_fd(w->s, 402, FD_FILE, 61, "/var/log/journal/0123/user-1000.journal");
        expect(w, VERDICT_DEGRADED, "journal-reader", "will not get new messages");
        assert_null(strstr(w->v.notes[0].text, "more like this"));
        for (size_t i = 0; i < 2; i++)
                strcpy(world_at(w->s, 402)->fds[i].target, "/srv/log/a.journal");
        expect_ok(w);
}

static void test_lease(void **state) {
        World *w = *state;
        SnapFd *f = world_fd(w->s, 402, FD_FILE, 60, "/srv/data");

        f->lease_breaks = true;
        expect(w, VERDICT_REFUSED, "lease", "waits for the lease of bash (402) on /srv/data");
}

/* A tree that came back in namespaces of its own is in no others. */
static void set_cgroup(SnapProcess *p, const char *cgroup) {
        free(p->cgroup);
        p->cgroup = strdup(cgroup);
}

/* One sentence instead of one for each namespace, with the name that root's watcher knows. */
static void test_container(void **state) {
        World *w = *state;
        SnapProcess *p = world_at(w->s, 402), *conmon = world_at(w->s, 800);

        p->ns_pid = p->ns_mnt = 7;
        set_cgroup(p, "/machine.slice/libpod-0123456789abcdef.scope/container");
        expect(w, VERDICT_REFUSED, "container", "belongs to the container podman 0123456789ab,");
        for (size_t i = 0; i < w->v.n_notes; i++)
                assert_string_not_equal(w->v.notes[i].what, "namespace");
        set_cgroup(conmon, "/machine.slice/libpod-conmon-0123456789abcdef.scope");
        strcpy(conmon->comm, "conmon");
        strcpy(conmon->title, "web");
        expect(w, VERDICT_REFUSED, "container", "belongs to the container podman 0123456789ab,");
        conmon->is_roots = true;
        expect(w, VERDICT_REFUSED, "container", "belongs to the container podman web,");
        set_cgroup(conmon, p->cgroup); /* root of that container: any name is its own word */
        expect(w, VERDICT_REFUSED, "container", "belongs to the container podman 0123456789ab,");
}

static void test_tree_namespace(void **state) {
        World *w = *state;
        SnapProcess *init = world_process(w->s, 300, 1, "carryover-init", S4);

        free(init->exe);
        init->exe = strdup(LIBEXECDIR "/carryover-init");
        init->is_roots = true;
        init->own.pid = 1;
        init->ns_pid = init->ns_mnt = 7;
        for (pid_t pid = 400; pid <= 402; pid += 2)
                world_at(w->s, pid)->ns_pid = world_at(w->s, pid)->ns_mnt = 7;
        look(w);
        assert_int_equal(w->v.level, VERDICT_REFUSED); /* the init is not its parent */
        world_at(w->s, 400)->ppid = 300;
        expect_ok(w);
        world_at(w->s, 402)->ns_mnt = NS;
        expect(w, VERDICT_REFUSED, "namespace", "its own mount namespace");
        world_at(w->s, 402)->ns_mnt = 7;
        world_at(w->s, 402)->ns_net = 7;
        expect(w, VERDICT_REFUSED, "namespace", "its own network namespace");
        world_at(w->s, 402)->ns_net = NS;
        world_at(w->s, 300)->own.pid = 2;
        look(w);
        assert_int_equal(w->v.level, VERDICT_REFUSED);
}

static void test_cgroup_namespace(void **state) {
        World *w = *state;

        w->s->own_cgroup = NS;
        world_at(w->s, 402)->ns_cgroup = NS;
        expect_ok(w);
        world_at(w->s, 402)->ns_cgroup = 1;
        expect(w, VERDICT_REFUSED, "namespace", "cgroup namespace");
}

static void test_cgroup_hierarchy(void **state) {
        World *w = *state;

        world_at(w->s, 402)->elsewhere = true;
        expect(w, VERDICT_DEGRADED, "cgroup-hierarchy", "bash (402) will not be in its group");
}

/* Twenty lines of one program are one. */
static void test_groups(void **state) {
        World *w = *state;

        for (uint64_t i = 0; i < 20; i++) {
                world_fd(w->s, 402, FD_TCP, 60 + i, NULL);
                world_tcp(w->s, 60 + i, TCP_ESTABLISHED, 0x7f000001, 99, 0x7f000001,
                          (uint16_t)(i < 9 ? 5000 : 5000 + i))
                                ->to_self = true;
                world_fd(w->s, 402, FD_PIPE, 100 + i, NULL)->flags = O_WRONLY;
                world_at(w->s, 402)->fds[world_at(w->s, 402)->n_fds - 1].fd = (int)i;
        }
        world_fd(w->s, 400, FD_PIPE, 200, NULL)->flags = O_WRONLY;
        look(w);
        assert_int_equal(w->v.n_notes, 3);
        assert_non_null(strstr(w->v.notes[0].text, "sshd (400) has a pipe (descriptor 0)"));
        assert_null(strstr(w->v.notes[0].text, "more"));
        assert_non_null(strstr(w->v.notes[1].text, "bash (402) has a pipe (descriptor 0)"));
        assert_non_null(strstr(w->v.notes[1].text, " (and 19 more like this)"));
        assert_non_null(strstr(w->v.notes[2].text, "port 5000"));
        assert_non_null(strstr(w->v.notes[2].text, " (and 19 more like this)"));
        world_at(w->s, 402)->personality = true;
        world_process(w->s, 403, 400, "bash", S4)->personality = true;
        world_process(w->s, 404, 400, "zsh", S4)->personality = true;
        look(w);
        assert_int_equal(w->v.n_notes, 5);
}

/* Both ends are carried, in one tree or in two; unless the other one is refused. */
/* Another tree may be back later, whether it is carried or not. The one that waits loses nothing. */
static void test_dgram_of_another_tree(void **state) {
        World *w = *state;
        Tree other = TREE__INIT;
        Candidate again[] = {{.tree = &w->tree}, {.tree = &other}};

        other.root_pid = 800;
        other.root_start = 8000;
        world_fd(w->s, 402, FD_UNIX, 60, NULL);
        world_unix(w->s, 60, 90, SOCK_DGRAM, NULL);
        world_fd(w->s, 800, FD_UNIX, 90, NULL);
        world_unix(w->s, 90, 0, SOCK_DGRAM, "/run/other");
        for (VerdictLevel level = VERDICT_OK; level <= VERDICT_REFUSED; level++) {
                Candidate c[] = {{.tree = &w->tree}, {.tree = &other}};

                c[1].verdict.level = level;
                assert_int_equal(preflight_peers(w->s, c, 2), 0);
                assert_int_equal(c[0].verdict.level, VERDICT_REFUSED);
                assert_int_equal(c[0].verdict.n_notes, 1);
                assert_string_equal(c[0].verdict.notes[0].what, "unix-late");
                assert_non_null(strstr(c[0].verdict.notes[0].text,
                                       "/run/other of another kept tree (tmux (800))"));
                assert_int_equal(c[1].verdict.n_notes, 0);
                verdict_done(&c[0].verdict);
        }
        expect_ok(w); /* nobody keeps that one, and nobody is known to have it */
        assert_int_equal(
                        model_append(w->s->holders, w->s->n_holders, ((SnapHolder){FD_UNIX, 90, 1, O_RDWR})),
                        0);
        assert_int_equal(preflight_peers(w->s, again, 2), 0);
        assert_int_equal(again[0].verdict.n_notes, 0); /* PID 1 has it, too, from the begin */
}

/* Who is refused for that is no peer of a connection any more. */
static void test_refused_as_peer(void **state) {
        World *w = *state;
        Tree other = TREE__INIT;
        Candidate c[] = {{.tree = &w->tree}, {.tree = &other}};

        other.root_pid = 800;
        other.root_start = 8000;
        world_fd(w->s, 402, FD_TCP, 60, NULL);
        world_tcp(w->s, 60, TCP_ESTABLISHED, 0x7f000001, 99, 0x7f000001, 5432)->to_self = true;
        world_fd(w->s, 800, FD_TCP, 61, NULL);
        world_tcp(w->s, 61, TCP_ESTABLISHED, 0x7f000001, 5432, 0x7f000001, 99)->to_self = true;
        world_fd(w->s, 800, FD_UNIX, 62, NULL);
        world_unix(w->s, 62, 90, SOCK_DGRAM, NULL);
        world_fd(w->s, 402, FD_UNIX, 90, NULL);
        world_unix(w->s, 90, 0, SOCK_DGRAM, "/run/ours");
        assert_int_equal(preflight_peers(w->s, c, 2), 0);
        assert_int_equal(c[1].verdict.level, VERDICT_REFUSED);
        assert_int_equal(c[0].verdict.n_notes, 1);
        assert_string_equal(c[0].verdict.notes[0].what, "loopback");
        verdict_done(&c[0].verdict);
        verdict_done(&c[1].verdict);
}

static void test_peers(void **state) {
        World *w = *state;
        Tree other = TREE__INIT;
        Candidate c[] = {{.tree = &w->tree}, {.tree = &other}};

        other.root_pid = 800;
        other.root_start = 8000;
        world_fd(w->s, 402, FD_TCP, 60, NULL);
        world_tcp(w->s, 60, TCP_ESTABLISHED, 0x7f000001, 99, 0x7f000001, 5432)->to_self = true;
        world_fd(w->s, 800, FD_TCP, 61, NULL);
        world_tcp(w->s, 61, TCP_ESTABLISHED, 0x7f000001, 5432, 0x7f000001, 99)->to_self = true;
        expect(w, VERDICT_DEGRADED, "loopback", "bash (402) has a connection to port 5432 on this machine");
        assert_int_equal(preflight_peers(w->s, c, 2), 0);
        assert_int_equal(c[0].verdict.n_notes + c[1].verdict.n_notes, 0);
        c[1].verdict.level = VERDICT_REFUSED;
        assert_int_equal(preflight_peers(w->s, c, 2), 0);
        assert_int_equal(c[1].verdict.n_notes, 0);
        assert_int_equal(c[0].verdict.n_notes, 1);
        assert_int_equal(c[0].verdict.level, VERDICT_DEGRADED);
        assert_string_equal(c[0].verdict.notes[0].what, "loopback");
        verdict_done(&c[0].verdict);
}

static void test_huge(void **state) {
        World *w = *state;

        SnapProcess *p = world_at(w->s, 402);

        w->s->huge_most = 256 << 20;
        p->huge = 256 << 20;
        p->huge_page = 2 << 20;
        expect(w, VERDICT_DEGRADED, "huge-pages", "bash (402) keeps its huge pages");
        assert_non_null(strstr(w->v.notes[0].remedy, "/etc/sysctl.d"));
        world_at(w->s, 400)->huge = world_at(w->s, 400)->huge_page = 2 << 20; /* of the same tree */
        look(w);
        assert_int_equal(w->v.n_notes, 2);
        assert_string_equal(w->v.notes[1].what, "huge-pages");
        assert_int_equal(w->v.notes[1].level, VERDICT_REFUSED);
        assert_non_null(strstr(w->v.notes[1].text, "a quarter of the memory (256 MiB)"));
        assert_non_null(strstr(w->v.notes[0].remedy, "/etc/sysctl.d"));
        world_at(w->s, 400)->huge = world_at(w->s, 400)->huge_page = 0;
        p->huge = UINT64_MAX;
        expect(w, VERDICT_REFUSED, "huge-pages", "a quarter of the memory");
        p->huge = p->huge_page = 1 << 30;
        w->s->huge_most = UINT64_MAX;
        expect(w, VERDICT_REFUSED, "huge-pages", "huge pages that are not of 2 MiB");
        assert_non_null(strstr(w->v.notes[0].remedy, "kernel command line"));
        w->s->huge_by_boot = true;
        expect_ok(w);
        (void)world_mount(w->s, 402, 90, "hugetlbfs", "/dev/hugepages", MOUNT_UNKNOWN);
        expect(w, VERDICT_REFUSED, "huge-pages", "a file open on /dev/hugepages");
}

static void put_huge(World *w, pid_t pid, int fd, uint64_t size) {
        SnapProcess *p = world_at(w->s, pid);
        SnapFd *f = world_fd(w->s, pid, FD_MEMFD, 60, "/memfd:x");

        f->fd = fd;
        f->size = size;
        f->huge_page = p->huge_page = 2 << 20;
        p->huge = size > UINT64_MAX - p->huge ? UINT64_MAX : p->huge + size; /* as proc counts it */
}

/* Children inherit a memfd, and it comes back once. */
static void test_huge_memfd(void **state) {
        World *w = *state;

        w->s->huge_most = 256 << 20;
        put_huge(w, 400, 10, 200 << 20);
        put_huge(w, 402, 10, 200 << 20);
        put_huge(w, 402, 11, 200 << 20);
        look(w);
        assert_int_equal(w->v.level, VERDICT_DEGRADED);
        world_at(w->s, 402)->huge += 57 << 20; /* it maps some, too */
        look(w);
        assert_int_equal(w->v.level, VERDICT_REFUSED);
}

/* Sizes are made up for nothing: those that cannot be added are not less than others. */
static void test_huge_sum(void **state) {
        World *w = *state;

        w->s->huge_most = 256 << 20;
        for (int i = 0; i < 8; i++)
                put_huge(w, 402, 10 + i, UINT64_C(1) << 62);
        assert_int_equal(world_at(w->s, 402)->huge, UINT64_MAX);
        expect(w, VERDICT_REFUSED, "huge-pages", "a quarter of the memory");
}

static void test_reserved(void **state) {
        World *w = *state;
        SnapProcess *p = world_at(w->s, 402), *parent = world_at(w->s, 400);

        p->unwritable = 300 << 20;
        parent->unwritable = 1 << 20;
        expect_ok(w);
        w->s->strict = true;
        w->s->promisable = 301 << 20;
        expect_ok(w);
        w->s->promisable--;
        expect(w, VERDICT_REFUSED, "overcommit", "this tree maps 301 MiB");
        assert_non_null(strstr(w->v.notes[0].text, "leaves 300 MiB"));
        w->facts.criu.as_it_was = true;
        expect_ok(w);
        free(p->exe);
        free(parent->exe);
        p->exe = strdup("/usr/bin/x"); /* it may share what its parent has */
        parent->exe = strdup("/usr/bin/y");
        expect_ok(w);
        parent->exe[strlen(parent->exe) - 1] = 'x';
        w->s->promisable = (300 << 20) - 1;
        expect(w, VERDICT_REFUSED, "overcommit", "this tree maps 300 MiB");
        p->unwritable = UINT64_MAX;
        expect(w, VERDICT_REFUSED, "overcommit", "vm.overcommit_memory=2");
}

static void test_may_pass(void **state) {
        World *w = *state;
        SnapFd *f = world_fd(w->s, 402, FD_ANON, 60, "anon_inode:[pidfd]");

        f->pidfd = 999; /* a child that began after the list was read */
        expect(w, VERDICT_REFUSED, "pidfd", "999");
        assert_true(preflight_may_pass(&w->v));
        f->pidfd_parent = 800; /* somebody else's */
        expect(w, VERDICT_REFUSED, "pidfd", "999");
        f->pidfd_parent = 402;
        expect_ok(w);
        f->pidfd_parent = 0;
        world_fd(w->s, 402, FD_ANON, 61, "anon_inode:[io_uring]");
        look(w);
        assert_false(preflight_may_pass(&w->v)); /* it is refused whatever the other comes to */
        strcpy(world_at(w->s, 402)->fds[1].target, "[eventfd]");
        world_at(w->s, 402)->fds[0].pidfd = 400;
        world_at(w->s, 402)->personality = true;
        expect(w, VERDICT_DEGRADED, "personality", "");
        assert_false(preflight_may_pass(&w->v));
}

/* Which group is asked of the socket itself (proc/multicast.c). */
static void test_multicast(void **state) {
        World *w = *state;
        SnapFd *f = world_fd(w->s, 402, FD_UDP, 60, NULL);

        expect_ok(w);
        f->multicast = AF_INET;
        memcpy(f->group, "\xef\x01\x02\x03", 4);
        expect(w, VERDICT_DEGRADED, "multicast", "bash (402) receives multicast group 239.1.2.3");
        f->multicast = AF_INET6;
        memcpy(f->group, "\xff\x15\0\0\0\0\0\0\0\0\0\0\0\0\0\x01", 16);
        expect(w, VERDICT_DEGRADED, "multicast", "ff15::1");
        f->kind = FD_SOCKET;
        free(f->target);
        f->target = strdup("RAW");
        expect(w, VERDICT_DEGRADED, "multicast", "ff15::1");
}

/* A hole takes no room in the store, but CRIU's limit may count it. */
static void test_sparse(void **state) {
        World *w = *state;
        SnapFd *f = world_fd(w->s, 400, FD_FILE, 2, "/tmp/large");
        PreflightNeeds needs;

        f->deleted = true;
        f->size = UINT64_C(3) << 30;
        f->used = 10u << 20;
        assert_int_equal(preflight_needs(w->s, &w->tree, &needs), 0);
        assert_true(needs.bytes == UINT64_C(12) << 20);
        assert_true(needs.ghost_max == UINT64_C(3) << 30);
        f->used = UINT64_C(4) << 30; /* more than there is to read */
        assert_int_equal(preflight_needs(w->s, &w->tree, &needs), 0);
        assert_true(needs.bytes == (UINT64_C(3) << 30) + (UINT64_C(3) << 30) / 5);
        f->deleted = false; /* in memory, by name: it is read whole, holes and all */
        f->is_volatile = true;
        f->used = 10u << 20;
        assert_int_equal(preflight_needs(w->s, &w->tree, &needs), 0);
        assert_true(needs.bytes > UINT64_C(3) << 30);
}

int main(void) {
#define T(x) cmocka_unit_test_setup_teardown(x, setup, teardown)
        const struct CMUnitTest tests[] = {
                        T(test_above_tcp),
                        T(test_last_ack),
                        T(test_epoll),
                        T(test_in_flight),
                        T(test_late_peer),
                        T(test_trapped),
                        T(test_bus),
                        T(test_journal),
                        T(test_lease),
                        T(test_cgroup_namespace),
                        T(test_cgroup_hierarchy),
                        T(test_container),
                        T(test_tree_namespace),
                        T(test_groups),
                        T(test_peers),
                        T(test_dgram_of_another_tree),
                        T(test_sparse),
                        T(test_refused_as_peer),
                        T(test_huge),
                        T(test_huge_memfd),
                        T(test_huge_sum),
                        T(test_reserved),
                        T(test_may_pass),
                        T(test_multicast),
                        T(test_options),
                        T(test_32bit),
                        T(test_unread_events),
                        T(test_watched_files),
                        T(test_memfd),
                        T(test_speculation),
                        T(test_lost),
                        T(test_huge_pages_off),
                        T(test_stopped),
                        T(test_reset_on_fork),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: GPL-2.0-or-later */

/* What of a tree lies outside its images. */

#include "tests/unit/select-world.h"

#include <fcntl.h>
#include <time.h>

/* Describing. */

static const External *external(const Tree *t, const char *restore_key) {
        for (size_t i = 0; i < t->n_externals; i++)
                if (strcmp(t->externals[i]->restore_key, restore_key) == 0)
                        return t->externals[i];
        fail_msg("no external %s", restore_key);
        return NULL;
}

static void test_describe_files(void **state) {
        World *w = *state;
        const External *e;
        SnapFd *f;
        Tree *t;

        assert_int_equal(resolve(w, "session:4", 506), 0);
        t = w->found.items[0].tree;
        f = world_fd(w->s, 400, FD_FIFO, 0x1ab, "/run/systemd/sessions/4.ref");
        f->mnt_id = 0x1f;
        f->mode = S_IFIFO | 0600;
        f->flags = O_WRONLY | O_NONBLOCK;
        f->mnt_foreign = true;
        world_fd(w->s, 402, FD_FIFO, 7, "/tmp/theirs");
        world_fd(w->s, 402, FD_FIFO, 8, "/run/systemd/sessions/9.ref")->uid = 1000;
        /* in a mount namespace of the user's own FIFOs of root's have the names that he gives them */
        world_fd(w->s, 402, FD_FIFO, 12, "/run/systemd/sessions/9")->mnt_foreign = true;
        world_fd(w->s, 402, FD_FIFO, 13, "/run/systemd/sessions/x/9.ref")->mnt_foreign = true;
        /* the terminal: master in sshd, slave in the shell; and one of somebody else's */
        world_fd(w->s, 401, FD_PTMX, 9, "/dev/ptmx")->pty_index = 3;
        world_fd(w->s, 401, FD_PTMX, 9, "/dev/ptmx")->pty_index = 3;
        world_fd(w->s, 402, FD_TTY, 10, "/dev/pts/3")->pty_index = 3;
        f = world_fd(w->s, 403, FD_TTY, 11, "/dev/pts/5");
        f->pty_index = 5;
        f->rdev = 0x8805;
        f->dev = 0x18;
        f = world_fd(w->s, 403, FD_TTY, 14, "/dev/pts/6"); /* hung up: no way leads to it */
        f->pty_index = 6;
        f->rdev = 0x8806;
        f->dev = 0x18;
        f->hung_up = true;
        /* pipes: within, to somebody, and one whose other end is closed */
        world_fd(w->s, 402, FD_PIPE, 20, "pipe:[20]")->flags = O_RDONLY;
        world_fd(w->s, 403, FD_PIPE, 20, "pipe:[20]")->flags = O_WRONLY;
        world_fd(w->s, 403, FD_PIPE, 21, "pipe:[21]")->flags = O_WRONLY;
        world_fd(w->s, 403, FD_PIPE, 22, "pipe:[22]")->hung_up = true;

        for (int twice = 0; twice < 2; twice++) {
                assert_int_equal(select_describe(w->s, t), 0);
                assert_int_equal(t->n_externals, 4);
                assert_null(external(t, "tty[8806:18]")->path);
                e = external(t, "file[1f:1ab]");
                assert_int_equal(e->kind, EXTERNAL__KIND__FIFO);
                assert_string_equal(e->dump_key, "file[1f:1ab]");
                assert_string_equal(e->path, "/run/systemd/sessions/4.ref");
                assert_int_equal(e->mode, 0600);
                assert_int_equal(e->flags, O_WRONLY | O_NONBLOCK);
                e = external(t, "tty[8805:18]");
                assert_string_equal(e->path, "/dev/pts/5");
                assert_string_equal(e->dump_key, "tty[8805:18]");
                e = external(t, "pipe:[21]");
                assert_string_equal(e->dump_key, "");
                assert_int_equal(t->n_ptys, 1);
                assert_int_equal(t->ptys[0], 3);
        }
}

static void test_describe_unix(void **state) {
        World *w = *state;
        const External *e;
        Snapshot *s = w->s;
        Tree *t;

        assert_int_equal(resolve(w, "session:4", 506), 0);
        t = w->found.items[0].tree;
        world_fd(s, 402, FD_UNIX, 30, NULL); /* pair within */
        world_fd(s, 403, FD_UNIX, 31, NULL);
        world_unix(s, 30, 31, SOCK_STREAM, NULL);
        world_unix(s, 31, 30, SOCK_STREAM, NULL);
        world_fd(s, 402, FD_UNIX, 32, NULL); /* journal */
        world_unix(s, 32, 92, SOCK_STREAM, NULL);
        world_unix(s, 92, 32, SOCK_STREAM, "/run/systemd/journal/stdout");
        world_fd(s, 402, FD_UNIX, 33, NULL); /* bus */
        world_unix(s, 33, 93, SOCK_STREAM, NULL);
        world_unix(s, 93, 33, SOCK_STREAM, "/run/dbus/system_bus_socket");
        world_fd(s, 402, FD_UNIX, 34, NULL); /* any other, shared by two */
        world_fd(s, 403, FD_UNIX, 34, NULL);
        world_unix(s, 34, 94, SOCK_STREAM, NULL);
        world_unix(s, 94, 34, SOCK_STREAM, NULL);
        world_fd(s, 400, FD_UNIX, 35, NULL); /* peer closed: leave alone */
        world_unix(s, 35, 0, SOCK_STREAM, NULL)->dead_peer = true;
        world_fd(s, 400, FD_UNIX, 36, NULL); /* to /dev/log */
        world_unix(s, 36, 96, SOCK_DGRAM, NULL);
        world_unix(s, 96, 0, SOCK_DGRAM, "/run/systemd/journal/dev-log");
        world_fd(s, 402, FD_UNIX, 37, NULL);
        world_unix(s, 37, 0, SOCK_STREAM, "/tmp/agent")->state = TCP_LISTEN;
        strcpy(world_at(s, 402)->comm, "ba\nsh");
        assert_int_equal(select_describe(s, t), 0);
        assert_int_equal(t->n_externals, 3);
        e = external(t, "socket:[32]");
        assert_int_equal(e->kind, EXTERNAL__KIND__JOURNAL_STREAM);
        assert_string_equal(e->dump_key, "unix[32]");
        assert_string_equal(e->label, "ba?sh");
        assert_int_equal(external(t, "socket:[33]")->kind, EXTERNAL__KIND__BUS);
        assert_int_equal(external(t, "socket:[34]")->kind, EXTERNAL__KIND__STREAM);
}

/* A session with as many descriptors as one process may have must not hold up a shutdown. */
static void test_describe_many(void **state) {
        struct timespec begin, end;
        World *w = *state;
        Tree *t;

        assert_int_equal(resolve(w, "session:4", 506), 0);
        t = w->found.items[0].tree;
        for (uint64_t i = 0; i < MANY; i++) {
                uint64_t ino = 100000 + 2 * i;

                world_fd(w->s, 402,
                         i % 3 == 0   ? FD_UNIX
                         : i % 3 == 1 ? FD_PIPE
                                      : FD_TCP,
                         ino, NULL)
                                ->hung_up = true;
                if (i % 3 == 0)
                        world_unix(w->s, ino, ino + 1, SOCK_STREAM, NULL);
                if (i % 3 == 2)
                        world_tcp(w->s, ino, TCP_ESTABLISHED, 0x7f000001, (uint16_t)i,
                                  0x7f000000 + (uint32_t)i, 22);
        }
        snapshot_sort(w->s);
        clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &begin);
        assert_int_equal(select_describe(w->s, t), 0);
        clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &end);
        assert_int_equal(t->n_externals, MANY / 3);
        assert_int_equal(t->n_connections, MANY / 3);
        assert_true(end.tv_sec - begin.tv_sec < 2);
}

static void test_describe_tcp(void **state) {
        World *w = *state;
        Snapshot *s = w->s;
        SnapInet *i;
        Tree *t;

        assert_int_equal(resolve(w, "session:4", 506), 0);
        t = w->found.items[0].tree;
        for (uint64_t ino = 40; ino < 51; ino++)
                world_fd(s, 400, FD_TCP, ino, NULL);
        world_fd(s, 401, FD_TCP, 40, NULL); /* shared */
        world_tcp(s, 40, TCP_ESTABLISHED, 0x0a000001, 22, 0x0a000002, 5000);
        world_tcp(s, 41, TCP_LISTEN, 0, 80, 0, 0); /* any address */
        world_tcp(s, 42, TCP_LISTEN, 0x0a000001, 81, 0, 0);
        world_tcp(s, 43, TCP_LISTEN, 0x0a000001, 82, 0, 0);                  /* the same address */
        world_tcp(s, 44, TCP_ESTABLISHED, 0x7f000001, 90, 0x7f000001, 6000); /* both ends within */
        world_tcp(s, 45, TCP_ESTABLISHED, 0x7f000001, 6000, 0x7f000001, 90);
        world_tcp(s, 46, TCP_ESTABLISHED, 0x7f000001, 91, 0x7f000001, 6001); /* other end outside */
        world_tcp(s, 96, TCP_ESTABLISHED, 0x7f000001, 6001, 0x7f000001, 91);
        world_tcp(s, 47, TCP_CLOSE, 0, 0, 0, 0);
        i = world_tcp(s, 48, TCP_CLOSE_WAIT, 0, 23, 0, 5001);
        i->family = AF_INET6;
        memcpy(i->local, "\0\0\0\0\0\0\0\0\0\0\xff\xff\x0a\0\0\x01", 16);
        memcpy(i->remote, "\0\0\0\0\0\0\0\0\0\0\xff\xff\x0a\0\0\x02", 16);
        world_tcp(s, 49, TCP_ESTABLISHED, 1, 24, 2, 5002)->protocol = IPPROTO_UDP;
        world_tcp(s, 50, TCP_SYN_SENT, 0x0a000001, 40000, 0x0a000002, 0); /* nobody answers there */
        assert_int_equal(select_describe(s, t), 0);
        assert_int_equal(t->n_connections, 3);
        assert_int_equal(t->connections[0]->remote_port, 5000);
        assert_memory_equal(t->connections[0]->local.data, "\x0a\0\0\x01", 4);
        assert_int_equal(t->connections[1]->local_port, 91);
        assert_int_equal(t->connections[2]->local_port, 23);
        assert_int_equal(t->connections[2]->remote.len, 4);
        assert_memory_equal(t->connections[2]->remote.data, "\x0a\0\0\x02", 4);
        assert_int_equal(t->n_listens, 3);
        assert_int_equal(t->listens[0].len, 4);
}

static void test_describe_schedule(void **state) {
        const SnapSlack slack = {.tid = 507, .nsec = 123456};
        World *w = *state;
        Tree *t;

        assert_int_equal(resolve(w, "session:4", 506), 0);
        t = w->found.items[0].tree;
        world_at(w->s, 401)->ioprio = 2 << 13 | 4; /* what nice 0 gives */
        world_at(w->s, 402)->ioprio = 2 << 13 | 7;
        world_at(w->s, 403)->ioprio = 3 << 13;
        assert_int_equal(model_append(world_at(w->s, 401)->slacks, world_at(w->s, 401)->n_slacks, slack), 0);
        assert_int_equal(select_describe(w->s, t), 0);
        assert_int_equal(t->n_processes, 3);
        assert_true(t->processes[0]->pid == 401 && !t->processes[0]->has_ioprio);
        assert_int_equal(t->processes[0]->n_slacks, 1);
        assert_int_equal(t->processes[0]->slacks[0]->tid, 507);
        assert_int_equal(t->processes[0]->slacks[0]->nsec, 123456);
        assert_true(t->processes[1]->pid == 402 && t->processes[1]->has_ioprio);
        assert_true(t->processes[2]->pid == 403 && t->processes[2]->ioprio == 3 << 13);
        assert_false(t->processes[2]->has_affinity);
        assert_int_equal(t->processes[2]->n_slacks, 0);
}

int main(void) {
#define T(x) cmocka_unit_test_setup_teardown(x, setup, teardown)
        const struct CMUnitTest tests[] = {
                        T(test_describe_files), T(test_describe_unix),     T(test_describe_tcp),
                        T(test_describe_many),  T(test_describe_schedule),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}

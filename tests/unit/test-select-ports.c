/* SPDX-License-Identifier: GPL-2.0-or-later */

/* What a tree's sockets need of addresses to come back, and which ports the hold takes. */

#include "base/cleanup.h"
#include "select/select.h"
#include "world.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <time.h>

typedef struct World {
        Snapshot *s;
        Tree *tree;
} World;

static int setup(void **state) {
        World *w = calloc(1, sizeof *w);

        assert_non_null(w);
        w->s = world_new();
        world_process(w->s, 402, 1, "bash", "/user.slice/user-1000.slice/session-4.scope");
        w->tree = model_new(Tree, tree__init);
        assert_non_null(w->tree);
        w->tree->root_pid = 402;
        w->tree->session = model_new(Session, session__init);
        assert_non_null(w->tree->session);
        *state = w;
        return 0;
}

static int teardown(void **state) {
        World *w = *state;

        snapshot_free(w->s);
        model_free(w->tree);
        free(w);
        return 0;
}

static SnapInet *world_udp(Snapshot *s, uint64_t ino, uint32_t local, uint16_t port) {
        SnapInet *i = world_tcp(s, ino, TCP_CLOSE, local, port, 0, 0);

        i->protocol = IPPROTO_UDP;
        return i;
}

static void test_describe_udp(void **state) {
        World *w = *state;
        Snapshot *s = w->s;
        SnapInet *i;
        Tree *t = w->tree;

        for (uint64_t ino = 40; ino < 46; ino++)
                world_fd(s, 402, FD_UDP, ino, NULL);
        world_udp(s, 40, 0x0a000001, 60001);
        world_udp(s, 41, 0, 60002);
        i = world_udp(s, 42, 0x0a000001, 60003); /* connected */
        i->state = TCP_ESTABLISHED;
        memcpy(i->remote, "\x0a\0\0\x02", 4);
        i->remote_port = 53;
        world_udp(s, 43, 0xe9010203, 5007); /* bound to a group */
        i = world_udp(s, 44, 0, 60004);
        i->family = AF_INET6;
        memcpy(i->local, "\0\0\0\0\0\0\0\0\0\0\xff\xff\x0a\0\0\x01", 16);
        world_udp(s, 45, 0, 0);       /* not bound */
        for (int n = 0; n < 2; n++) { /* what was there is replaced */
                assert_int_equal(select_describe(s, t), 0);
                assert_int_equal(t->n_binds, 2);
                assert_memory_equal(t->binds[0].data, "\x0a\0\0\x01", 4);
                assert_int_equal(t->binds[1].len, 4);
                assert_int_equal(t->n_datagrams, 1);
                assert_int_equal(t->datagrams[0]->remote_port, 53);
                assert_int_equal(t->n_connections, 0);
                assert_int_equal(t->n_ports, 4);
                for (size_t k = 0; k < 4; k++) {
                        assert_int_equal(t->ports[k]->protocol, IPPROTO_UDP);
                        assert_int_equal(t->ports[k]->port, 60001 + k);
                        assert_int_equal(t->ports[k]->local.len, 4);
                }
                assert_memory_equal(t->ports[1]->local.data, "\0\0\0\0", 4);
        }
}

static void put_into(Snapshot *s, const char *cgroup) {
        SnapProcess *p = world_at(s, 402);

        free(p->cgroup);
        p->cgroup = strdup(cgroup);
        assert_non_null(p->cgroup);
}

static bool has_port(const Tree *t, uint32_t protocol, uint32_t number) {
        for (size_t i = 0; i < t->n_ports; i++)
                if (t->ports[i]->protocol == protocol && t->ports[i]->port == number)
                        return true;
        return false;
}

/* Nobody but the tree is reached at a port that is held. */
static void test_ports_of_others(void **state) {
        World *w = *state;
        Snapshot *s = w->s;
        Tree *t = w->tree;

        for (uint64_t ino = 40; ino < 50; ino++)
                world_fd(s, 402, FD_TCP, ino, NULL);
        world_tcp(s, 40, TCP_LISTEN, 0, 8080, 0, 0);
        world_tcp(s, 140, TCP_ESTABLISHED, 0x0a000001, 8080, 0x0a000002, 5000); /* accepted by whoever */
        world_tcp(s, 41, TCP_LISTEN, 0x0a000001, 8081, 0, 0);                   /* another address */
        world_tcp(s, 141, TCP_LISTEN, 0x7f000001, 8081, 0, 0);
        world_tcp(s, 42, TCP_LISTEN, 0x0a000001, 8082, 0, 0); /* SO_REUSEPORT */
        world_tcp(s, 142, TCP_LISTEN, 0x0a000001, 8082, 0, 0);
        world_tcp(s, 43, TCP_LISTEN, 0x0a000001, 8083, 0, 0); /* below a wildcard */
        world_tcp(s, 143, TCP_LISTEN, 0, 8083, 0, 0)->family = AF_INET6;
        world_tcp(s, 44, TCP_LISTEN, 0, 8084, 0, 0); /* and above one's own address */
        world_tcp(s, 144, TCP_LISTEN, 0x7f000001, 8084, 0, 0);
        world_tcp(s, 45, TCP_LISTEN, 0, 8085, 0, 0); /* inherited from outside */
        assert_int_equal(model_append(s->holders, s->n_holders, ((SnapHolder){FD_UNIX, 45, 1, 0})), 0);
        world_tcp(s, 46, TCP_LISTEN, 0, 8086, 0, 0); /* from a process that was looked at, too */
        world_fd(s, 1, FD_TCP, 46, NULL);
        world_tcp(s, 47, TCP_LISTEN, 0, 22, 0, 0);   /* sshd's, when that has ended */
        world_tcp(s, 48, TCP_LISTEN, 0, 8088, 0, 0); /* the other protocol */
        world_udp(s, 148, 0, 8088);
        world_udp(s, 49, 0, 8089);
        world_udp(s, 149, 0, 8089);
        assert_int_equal(select_describe(s, t), 0);
        assert_int_equal(t->n_ports, 3);
        assert_true(has_port(t, IPPROTO_TCP, 8080));
        assert_true(has_port(t, IPPROTO_TCP, 8081));
        assert_true(has_port(t, IPPROTO_TCP, 8088));

        model_free(TAKE(t->session));
        put_into(s, "/system.slice/ssh.service");
        assert_int_equal(select_describe(s, t), 0);
        assert_true(has_port(t, IPPROTO_TCP, 22)); /* of a service that is kept */
}

/* A user's, whether it is in his session or below his service manager. */
static void test_ports_of_services(void **state) {
        World *w = *state;
        Snapshot *s = w->s;
        Tree *t = w->tree;

        world_fd(s, 402, FD_TCP, 40, NULL);
        world_fd(s, 402, FD_UDP, 41, NULL);
        world_tcp(s, 40, TCP_LISTEN, 0, 80, 0, 0);
        world_udp(s, 41, 0, 123);
        assert_int_equal(select_describe(s, t), 0);
        assert_int_equal(t->n_ports, 0);
        model_free(TAKE(t->session));
        assert_int_equal(select_describe(s, t), 0);
        assert_int_equal(t->n_ports, 0);
        put_into(s, "/system.slice/x.service");
        assert_int_equal(select_describe(s, t), 0);
        assert_int_equal(t->n_ports, 2);
}

/* At any address, where the kernel gives ports to who asks something. */
static void test_ports_of_questions(void **state) {
        World *w = *state;
        Snapshot *s = w->s;
        Tree *t = w->tree;

        s->questions[0] = 32768;
        s->questions[1] = 60999;
        for (uint64_t ino = 40; ino < 45; ino++)
                world_fd(s, 402, FD_UDP, ino, NULL);
        world_udp(s, 40, 0, 40000);
        world_udp(s, 41, 0, 32767);
        world_udp(s, 42, 0x0a000001, 40001); /* a server's */
        world_udp(s, 43, 0, 60001);          /* mosh's */
        world_udp(s, 44, 0, 32768)->family = AF_INET6;
        assert_int_equal(select_describe(s, t), 0);
        assert_int_equal(t->n_ports, 3);
        assert_true(has_port(t, IPPROTO_UDP, 32767));
        assert_true(has_port(t, IPPROTO_UDP, 40001));
        assert_true(has_port(t, IPPROTO_UDP, 60001));
}

/* Who was not looked at may have the same socket. */
static void test_ports_in_doubt(void **state) {
        World *w = *state;
        Snapshot *s = w->s;

        world_fd(s, 402, FD_TCP, 40, NULL);
        world_tcp(s, 40, TCP_LISTEN, 0, 8080, 0, 0);
        s->holders_cut = true;
        assert_int_equal(select_describe(s, w->tree), 0);
        assert_int_equal(w->tree->n_ports, 0);
}

/* Who opens all ports gets some of them held, and soon. */
static void test_ports_many(void **state) {
        struct timespec begin, end;
        World *w = *state;
        Snapshot *s = w->s;
        Tree *t = w->tree;

        for (uint64_t i = 0; i < MANY; i++) {
                world_fd(s, 402, FD_UDP, 100000 + i, NULL);
                world_udp(s, 100000 + i, 0x0a000001, i % 2 ? (uint16_t)(i + 1024) : 7777);
                world_udp(s, 200000 + i, 0x0a000001, 7777);
        }
        snapshot_sort(s);
        clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &begin);
        assert_int_equal(select_describe(s, t), 0);
        clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &end);
        assert_int_equal(t->n_ports, 256);
        assert_false(has_port(t, IPPROTO_UDP, 7777));
        assert_true(end.tv_sec - begin.tv_sec < 2);
}

static void test_ports_unknown(void **state) {
        World *w = *state;

        world_fd(w->s, 402, FD_UDP, 40, NULL);
        world_udp(w->s, 40, 0x0a000001, 60001);
        w->s->ports_unknown = true;
        assert_int_equal(select_describe(w->s, w->tree), 0);
        assert_int_equal(w->tree->n_ports, 0);
}

/* Both ends in the tree: nobody is held, but the address must be there. The loopback's always is. */
static void test_describe_own_address(void **state) {
        World *w = *state;
        Snapshot *s = w->s;
        Tree *t = w->tree;

        for (uint64_t ino = 40; ino < 44; ino++)
                world_fd(s, 402, FD_TCP, ino, NULL);
        world_tcp(s, 40, TCP_ESTABLISHED, 0x0a000001, 92, 0x0a000001, 6002);
        world_tcp(s, 41, TCP_ESTABLISHED, 0x0a000001, 6002, 0x0a000001, 92);
        world_tcp(s, 42, TCP_ESTABLISHED, 0x7f000001, 90, 0x7f000001, 6000);
        world_tcp(s, 43, TCP_ESTABLISHED, 0x7f000001, 6000, 0x7f000001, 90);
        assert_int_equal(select_describe(s, t), 0);
        assert_int_equal(t->n_connections, 0);
        assert_int_equal(t->n_listens, 2);
        assert_memory_equal(t->listens[0].data, "\x0a\0\0\x01", 4);
}

int main(void) {
#define T(x) cmocka_unit_test_setup_teardown(x, setup, teardown)
        const struct CMUnitTest tests[] = {
                        T(test_describe_udp),      T(test_describe_own_address), T(test_ports_of_others),
                        T(test_ports_of_services), T(test_ports_of_questions),   T(test_ports_in_doubt),
                        T(test_ports_many),        T(test_ports_unknown),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}

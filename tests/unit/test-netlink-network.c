/* SPDX-License-Identifier: GPL-2.0-or-later */

/* In network namespaces of its own, one per test, made with unshare(2); needs root and `ip`. */

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/err.h"
#include "base/fd.h"
#include "netlink/network.h"

#include <arpa/inet.h>
#include <linux/tcp.h>
#include <netinet/in.h>
#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#define NEED_NETNS()                                                                                        \
        do {                                                                                                \
                if (!fresh_namespace())                                                                     \
                        skip();                                                                             \
        } while (0)

static bool sh(const char *command) {
        return system(command) == 0;
}

/* v0 (of a known hardware address) with its other end v1; nobody is behind it. */
static bool fresh_namespace(void) {
        return unshare(CLONE_NEWNET) == 0 && sh("ip link set lo up 2>/dev/null") &&
               sh("ip link add v0 address 02:00:00:00:00:01 type veth peer name v1 2>/dev/null") &&
               sh("ip link set v0 up && ip link set v1 up");
}

static Connection *connection(const char *local, const char *remote) {
        Connection *c = model_new(Connection, connection__init);
        uint8_t a[16];
        int family = strchr(local, ':') ? AF_INET6 : AF_INET;
        size_t n = family == AF_INET ? 4 : 16;

        assert_non_null(c);
        assert_int_equal(inet_pton(family, local, a), 1);
        assert_int_equal(model_set_bytes(&c->local, a, n), 0);
        assert_int_equal(inet_pton(family, remote, a), 1);
        assert_int_equal(model_set_bytes(&c->remote, a, n), 0);
        c->local_port = 22;
        c->remote_port = 40000;
        return c;
}

static Tree *tree_with(uint32_t root_pid, const char *local, const char *remote) {
        Tree *tree = model_new(Tree, tree__init);

        assert_non_null(tree);
        tree->root_pid = root_pid;
        assert_int_equal(model_set_string(&tree->name, "t"), 0);
        assert_int_equal(model_set_string(&tree->target, "t"), 0);
        assert_int_equal(model_set_string(&tree->comm, "t"), 0);
        assert_int_equal(model_append(tree->connections, tree->n_connections, connection(local, remote)), 0);
        return tree;
}

static Ticket *ticket_new(void) {
        Ticket *t = model_new(Ticket, ticket__init);

        assert_non_null(t);
        return t;
}

static uint64_t in_ms(uint64_t ms) {
        return now_monotonic() + ms * USEC_PER_MSEC;
}

/* What the machine has for it, if it is hardware at all: only devices of connections that leave it count. */
static void test_drivers(void **state) {
        _cleanup_(tree_freep) Tree *tree = NULL;
        _cleanup_(ticket_freep) Ticket *ticket = ticket_new();

        NEED_NETNS();
        assert_true(sh("ip addr add 192.0.2.1/24 dev v0 && ip link set lo up"));
        tree = tree_with(1, "127.0.0.1", "127.0.0.1");
        assert_int_equal(model_append(tree->connections, tree->n_connections,
                                      connection("::ffff:192.0.2.1", "::ffff:192.0.2.9")),
                         0);
        assert_int_equal(network_drivers(&(HoldSet){.connections = tree->connections,
                                                    .n_connections = tree->n_connections},
                                         ticket),
                         0);
        assert_int_equal(ticket->n_drivers, 0); /* a veth has no driver to load */
}

static void *later(void *userdata) {
        usleep(200 * 1000); /* so that the other thread waits; the test holds without it, too */
        assert_true(sh(userdata));
        return NULL;
}

static void wait_while(const Tree *tree, const char *command) {
        pthread_t thread;

        assert_int_equal(pthread_create(&thread, NULL, later, (void *)command), 0);
        assert_int_equal(network_wait(tree, in_ms(20000), -1), 0);
        pthread_join(thread, NULL);
}

static void test_wait(void **state) {
        _cleanup_(tree_freep) Tree *tree = NULL, *local = NULL, *six = NULL;
        _cleanup_(closep) int stop = eventfd(1, EFD_CLOEXEC);

        NEED_NETNS();
        local = tree_with(1, "127.0.0.1", "127.0.0.1");
        assert_int_equal(network_wait(local, in_ms(0), -1), 0);

        tree = tree_with(1, "::ffff:192.0.2.1", "::ffff:198.51.100.7");
        assert_int_equal(network_wait(tree, in_ms(50), -1), -ETIMEDOUT);
        assert_string_equal(err_text(-ETIMEDOUT), "address 192.0.2.1 is missing");
        assert_int_equal(network_wait(tree, in_ms(20000), stop), -ECANCELED);

        wait_while(tree, "ip addr add 192.0.2.1/24 dev v0 && ip route add default via 192.0.2.254");
        assert_true(sh("ip route del default"));
        assert_int_equal(network_wait(tree, in_ms(50), -1), -ETIMEDOUT);
        assert_string_equal(err_text(-ETIMEDOUT), "no route to 198.51.100.7");
        wait_while(tree, "ip route add 198.51.100.0/24 via 192.0.2.254");

        /* Duplicate address detection takes a second or so: the wait ends after it, not before. */
        six = tree_with(1, "2001:db8::1", "2001:db8::2");
        assert_true(sh("ip addr add 2001:db8::1/64 dev v0"));
        assert_int_equal(network_wait(six, in_ms(50), -1), -ETIMEDOUT);
        assert_non_null(strstr(err_text(-ETIMEDOUT), "duplicate address detection"));
        assert_int_equal(network_wait(six, in_ms(20000), -1), 0);
        assert_false(sh("ip -6 addr show dev v0 | grep 2001 | grep -q tentative"));
}

static void bytes_append(ProtobufCBinaryData **list, size_t *n, const char *text) {
        ProtobufCBinaryData bytes = {0};
        struct in_addr a;

        assert_int_equal(inet_pton(AF_INET, text, &a), 1);
        assert_int_equal(model_set_bytes(&bytes, &a, sizeof a), 0);
        assert_int_equal(model_append(*list, *n, bytes), 0);
}

/* A tree without any connection of TCP: what its sockets of UDP are bound to, and connected with. */
static void test_wait_datagrams(void **state) {
        _cleanup_(tree_freep) Tree *bound = NULL, *connected = NULL;

        NEED_NETNS();
        bound = tree_with(1, "127.0.0.1", "127.0.0.1");
        bytes_append(&bound->binds, &bound->n_binds, "192.0.2.1");
        assert_int_equal(network_wait(bound, in_ms(50), -1), -ETIMEDOUT);
        assert_string_equal(err_text(-ETIMEDOUT), "address 192.0.2.1 is missing");
        connected = tree_with(1, "127.0.0.1", "127.0.0.1");
        assert_int_equal(model_append(connected->datagrams, connected->n_datagrams,
                                      connection("192.0.2.1", "198.51.100.7")),
                         0);
        assert_int_equal(network_wait(connected, in_ms(50), -1), -ETIMEDOUT);
        assert_string_equal(err_text(-ETIMEDOUT), "address 192.0.2.1 is missing");
        wait_while(bound, "ip addr add 192.0.2.1/24 dev v0");
        assert_int_equal(network_wait(connected, in_ms(50), -1), -ETIMEDOUT);
        assert_string_equal(err_text(-ETIMEDOUT), "no route to 198.51.100.7");
        wait_while(connected, "ip route add default via 192.0.2.254");
}

/* What is no address of the machine when it is saved need not be one when it comes back. */
static void test_foreign(void **state) {
        _cleanup_(tree_freep) Tree *tree = NULL;

        NEED_NETNS();
        assert_true(sh("ip addr add 192.0.2.1/24 brd + dev v0"));
        tree = tree_with(1, "127.0.0.1", "127.0.0.1");
        bytes_append(&tree->binds, &tree->n_binds, "192.0.2.255");
        bytes_append(&tree->binds, &tree->n_binds, "192.0.2.1");
        bytes_append(&tree->binds, &tree->n_binds, "127.0.0.53");
        bytes_append(&tree->listens, &tree->n_listens, "203.0.113.5");
        assert_int_equal(network_forget_foreign(tree), 0);
        assert_int_equal(tree->n_listens, 0);
        assert_int_equal(tree->n_binds, 2);
        assert_memory_equal(tree->binds[0].data, "\xc0\0\x02\x01", 4);
        assert_int_equal(network_wait(tree, in_ms(0), -1), 0);
}

static atomic_bool carried;

static void *carrier_later(void *userdata) {
        usleep(400 * 1000); /* longer than the wait is allowed to take once there is a carrier */
        carried = true;
        assert_true(sh("ip link set v1 up"));
        return NULL;
}

/* While no cable is plugged in, no time passes. */
static void test_wait_patiently(void **state) {
        _cleanup_(closep) int stop = eventfd(1, EFD_CLOEXEC);
        _cleanup_(tree_freep) Tree *tree = NULL;
        pthread_t thread;
        uint64_t begin;

        NEED_NETNS();
        tree = tree_with(1, "192.0.2.1", "192.0.2.7");
        assert_int_equal(network_missing(tree), 1);
        assert_string_equal(err_text(-ETIMEDOUT), "address 192.0.2.1 is missing");
        begin = now_monotonic();
        assert_int_equal(network_wait_patiently(tree, 50 * USEC_PER_MSEC, -1), -ETIMEDOUT);
        assert_true(now_monotonic() - begin >= 50 * USEC_PER_MSEC);
        assert_true(sh("ip link set v1 down"));
        assert_int_equal(network_missing(tree), 1);
        assert_string_equal(err_text(-ETIMEDOUT), "no network interface has a carrier");
        assert_int_equal(network_wait_patiently(tree, 50 * USEC_PER_MSEC, stop), -ECANCELED);
        assert_int_equal(pthread_create(&thread, NULL, carrier_later, NULL), 0);
        assert_int_equal(network_wait_patiently(tree, 50 * USEC_PER_MSEC, -1), -ETIMEDOUT);
        assert_true(carried);
        pthread_join(thread, NULL);
        assert_true(sh("ip link set v1 down && ip addr add 192.0.2.1/24 dev v0"));
        assert_int_equal(network_wait_patiently(tree, 50 * USEC_PER_MSEC, -1), 0); /* it needs no carrier */
        assert_int_equal(network_missing(tree), 0);
}

static void test_wait_flood(void **state) {
        _cleanup_(tree_freep) Tree *tree = NULL;

        NEED_NETNS();
        tree = tree_with(1, "192.0.2.1", "198.51.100.7");
        /* All made first, and by no file, whose name another run of this test would know, too. */
        wait_while(tree, "routes=$(i=0; while [ $i -lt 6000 ]; do i=$((i+1));"
                         "echo route add 10.$((i/250)).$((i%250)).0/24 dev v0; done);"
                         "echo \"$routes\" | ip -batch - && ip addr add 192.0.2.1/24 dev v0"
                         " && ip route add default via 192.0.2.254");
}

static void test_mtu_routes(void **state) {
        _cleanup_(tree_freep) Tree *a = NULL, *b = NULL, *gateway = NULL, *six = NULL;

        NEED_NETNS();
        assert_true(sh("ip addr add 192.0.2.1/24 dev v0 && ip route add default via 192.0.2.254"));
        assert_true(sh("ip addr add 2001:db8::1/64 dev v0 nodad && ip -6 route add default via "
                       "2001:db8::fe"));
        a = tree_with(100, "192.0.2.1", "198.51.100.7");
        b = tree_with(200, "::ffff:192.0.2.1", "::ffff:198.51.100.7");
        gateway = tree_with(300, "192.0.2.1", "192.0.2.254");
        six = tree_with(400, "2001:db8::1", "2001:db8:1::7");

        assert_int_equal(network_mtu_begin(a), 0);
        assert_int_equal(network_mtu_begin(a), 0);
        assert_true(sh("ip route get 198.51.100.7 | tr '\\n' ' ' | grep -q 'via 192.0.2.254 dev v0.*mtu "
                       "1400'"));
        assert_int_equal(network_mtu_begin(b), 0);
        assert_int_equal(network_mtu_end(a), 0);
        assert_true(sh("ip route get 198.51.100.7 | tr '\\n' ' ' | grep -q 'via 192.0.2.254.*mtu 1400'"));
        assert_int_equal(network_mtu_end(b), 0);
        assert_false(sh("ip route get 198.51.100.7 | grep -q mtu"));

        assert_int_equal(network_mtu_begin(gateway), 0);
        assert_true(sh("ip route show 192.0.2.254 | grep -q 'dev v0 proto 193 scope link metric 300 mtu "
                       "1400'"));
        assert_true(sh("ip route get 198.51.100.7 | grep -q 'via 192.0.2.254'"));
        assert_int_equal(network_mtu_end(gateway), 0);

        assert_int_equal(network_mtu_begin(six), 0);
        assert_true(sh("ip -6 route get 2001:db8:1::7 | grep -q 'via 2001:db8::fe.*mtu 1400'"));
        assert_int_equal(network_mtu_begin(a), 0);
        assert_int_equal(network_mtu_sweep(), 2);
        assert_int_equal(network_mtu_sweep(), 0);
        assert_false(sh("ip route show table all proto 193 | grep -q ."));
        assert_false(sh("ip -6 route show table all proto 193 | grep -q ."));
}

static void test_mtu_bounds(void **state) {
        _cleanup_(tree_freep) Tree *four = NULL, *six = NULL;

        NEED_NETNS();
        assert_true(sh("ip addr add 192.0.2.1/24 dev v0 && ip addr add 2001:db8::1/64 dev v0 nodad"));
        four = tree_with(100, "192.0.2.1", "192.0.2.7");
        six = tree_with(100, "2001:db8::1", "2001:db8::7");
        assert_true(sh("ip link set v0 mtu 1300"));
        assert_int_equal(network_mtu_begin(four), 0);
        assert_int_equal(network_mtu_begin(six), 0);
        assert_true(sh("ip route show 192.0.2.7 | grep -q 'mtu 1200'"));
        assert_true(sh("ip -6 route show 2001:db8::7 | grep -q 'mtu 1280'"));
        assert_int_equal(network_mtu_end(four), 0);
        assert_true(sh("ip link set v0 mtu 1280"));
        assert_int_equal(network_mtu_begin(six), 0);
        assert_false(sh("ip -6 route show 2001:db8::7 | grep -q mtu"));
}

/* As CRIU leaves a socket: connected without a handshake, to a peer with an open window. */
static int restored_socket(uint16_t port) {
        struct sockaddr_in local = {.sin_family = AF_INET, .sin_port = htons(port)},
                           remote = {.sin_family = AF_INET, .sin_port = htons(40000)};
        int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), on = 1, off = 0;
        struct tcp_repair_opt mss = {.opt_code = 2 /* TCPOPT_MAXSEG */, .opt_val = 1460};
        struct tcp_repair_window window = {0};
        socklen_t l = sizeof window;

        inet_pton(AF_INET, "192.0.2.1", &local.sin_addr);
        inet_pton(AF_INET, "198.51.100.7", &remote.sin_addr);
        assert_true(fd >= 0);
        assert_int_equal(setsockopt(fd, IPPROTO_TCP, TCP_REPAIR, &on, sizeof on), 0);
        assert_int_equal(bind(fd, (struct sockaddr *)&local, sizeof local), 0);
        assert_int_equal(connect(fd, (struct sockaddr *)&remote, sizeof remote), 0);
        assert_int_equal(setsockopt(fd, IPPROTO_TCP, TCP_REPAIR_OPTIONS, &mss, sizeof mss), 0);
        assert_int_equal(getsockopt(fd, IPPROTO_TCP, TCP_REPAIR_WINDOW, &window, &l), 0);
        window.snd_wnd = window.max_window = 65535;
        assert_int_equal(setsockopt(fd, IPPROTO_TCP, TCP_REPAIR_WINDOW, &window, sizeof window), 0);
        assert_int_equal(setsockopt(fd, IPPROTO_TCP, TCP_REPAIR, &off, sizeof off), 0);
        return fd;
}

static uint32_t mss_of(int fd) {
        struct tcp_info info = {0};
        socklen_t l = sizeof info;

        /* The first packet finds the new route, the next is cut to its size. */
        assert_int_equal(send(fd, "x", 1, MSG_NOSIGNAL), 1);
        assert_int_equal(send(fd, "x", 1, MSG_NOSIGNAL), 1);
        assert_int_equal(getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &l), 0);
        return info.tcpi_snd_mss;
}

/* What all this is for: first the illness, then the cure. */
static void test_mtu_cures(void **state) {
        _cleanup_(tree_freep) Tree *tree = NULL;
        _cleanup_(closep) int ill = -1, cured = -1;

        NEED_NETNS();
        assert_true(sh("ip addr add 192.0.2.1/24 dev v0 && ip route add default via 192.0.2.254"));
        tree = tree_with(100, "192.0.2.1", "198.51.100.7");
        ill = restored_socket(2222);
        assert_true(mss_of(ill) < 600);
        ill = fd_close(ill);

        assert_int_equal(network_mtu_begin(tree), 0);
        cured = restored_socket(2223);
        assert_int_equal(network_mtu_end(tree), 0);
        assert_true(mss_of(cured) > 1400);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                        cmocka_unit_test(test_drivers),        cmocka_unit_test(test_wait),
                        cmocka_unit_test(test_wait_flood),     cmocka_unit_test(test_wait_patiently),
                        cmocka_unit_test(test_wait_datagrams), cmocka_unit_test(test_foreign),
                        cmocka_unit_test(test_mtu_routes),     cmocka_unit_test(test_mtu_bounds),
                        cmocka_unit_test(test_mtu_cures),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}

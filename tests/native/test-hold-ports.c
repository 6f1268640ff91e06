/* SPDX-License-Identifier: GPL-2.0-or-later */

/*
 * The hold on ports: nobody at our end has them, and the peer is not to hear of it. Every test runs for each
 * backend and each kind of address, in fresh network namespaces, and sees the refusal as well, before the
 * hold or after it. Needs root; a backend that the kernel lacks is skipped with the reason. An argument is a
 * pattern of the tests to run.
 */

#include "base/clock.h"
#include "base/err.h"
#include "base/fd.h"
#include "base/text.h"
#include "netfilter/hold.h"
#include "suite.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>

#include <cmocka.h>

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <nftables/libnftables.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

/* Silence is a measured absence. A refusal comes within a millisecond; the first SYN is repeated after 1
 * s. */
#define SILENCE_MS 300
/* By then a SYN has been repeated, and an answer to a datagram has come. */
#define RESUME_MS 10000

#define MANY 300

static Port *port_make(int protocol, uint16_t number, const uint8_t *local, size_t size) {
        static const uint8_t any[16];
        Port *p = model_new(Port, port__init);

        assert_non_null(p);
        p->protocol = (uint32_t)protocol;
        p->port = number;
        assert_int_equal(model_set_bytes(&p->local, local ?: any, size), 0);
        return p;
}

/* As the sockets of a tree are bound: to an address, or to any, of IPv4 or of both. */
static Port *port_at(const Case *c, int protocol, uint16_t number, bool any) {
        uint8_t local[16] = {0};
        size_t size = c->flavour == FLAVOUR_V4 ? 4 : 16;

        if (any)
                return port_make(protocol, number, NULL, size);
        if (c->flavour == FLAVOUR_V6)
                assert_int_equal(inet_pton(AF_INET6, world_address(c->flavour), local), 1);
        else
                assert_int_equal(inet_pton(AF_INET, world_address(c->flavour), local + size - 4), 1);
        if (c->flavour == FLAVOUR_MAPPED)
                local[10] = local[11] = 0xff;
        return port_make(protocol, number, local, size);
}

static void hold_ports(const Case *c, Port **ports, size_t n) {
        HoldBackend used = HOLD_AUTO;

        check(hold_set(c->backend, &(HoldSet){.ports = ports, .n_ports = n}, &used));
        assert_int_equal(used, c->backend);
}

static void hold_one(const Case *c, int protocol, uint16_t number, bool any) {
        Port *port = port_at(c, protocol, number, any);

        hold_ports(c, &port, 1);
        model_free(port);
}

/* Whether a datagram to this port draws an error. */
static bool datagram_is_refused(Case *c, uint16_t number, int wait_ms) {
        int fd = port_reach(&c->world, c->flavour, SOCK_DGRAM, number);
        struct pollfd p = {.fd = fd};
        bool refused;

        (void)wire_seen(&c->world);
        assert_int_equal(send(fd, "x", 1, 0), 1);
        refused = poll(&p, 1, wait_ms) == 1;
        assert_int_equal(wire_seen(&c->world).errors, refused);
        close(fd);
        return refused;
}

/* Whether an attempt to connect to this port draws one. */
static bool connect_is_refused(Case *c, uint16_t number, int wait_ms) {
        int fd = port_reach(&c->world, c->flavour, SOCK_STREAM, number), error = 0;
        struct pollfd p = {.fd = fd, .events = POLLOUT};
        bool answered = poll(&p, 1, wait_ms) == 1;

        assert_int_equal(getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &(socklen_t){sizeof error}), 0);
        assert_int_equal(error, answered ? ECONNREFUSED : 0);
        close(fd);
        return answered;
}

static bool is_refused_within(Case *c, int protocol, uint16_t number, int wait_ms) {
        return protocol == IPPROTO_UDP ? datagram_is_refused(c, number, wait_ms)
                                       : connect_is_refused(c, number, wait_ms);
}

static bool is_refused(Case *c, int protocol, uint16_t number) {
        return is_refused_within(c, protocol, number, RESUME_MS);
}

static bool is_silent(Case *c, int protocol, uint16_t number) {
        return !is_refused_within(c, protocol, number, SILENCE_MS);
}

static void silent_at(Case *c, int protocol) {
        int type = protocol == IPPROTO_UDP ? SOCK_DGRAM : SOCK_STREAM;
        uint16_t number = port_free(type), other = port_free(type);
        int wrong = protocol == IPPROTO_UDP ? IPPROTO_TCP : IPPROTO_UDP;

        for (int any = 0; any < 2; any++) {
                assert_true(is_refused(c, protocol, number));
                hold_one(c, protocol, number, any);
                assert_true(is_silent(c, protocol, number));
                assert_true(is_refused(c, protocol, other));
                hold_one(c, wrong, number, any);
                assert_true(is_refused(c, protocol, number));
                check(hold_clear());
        }
}

static void test_datagrams(void **state) {
        silent_at(*state, IPPROTO_UDP);
}

static void test_attempts(void **state) {
        silent_at(*state, IPPROTO_TCP);
}

/* The same port of another address of ours is somebody else's. */
static void test_address(void **state) {
        const uint8_t v4[16] = {198, 51, 100, 1}, v6[16] = {0x20, 0x01, 0x0d, 0xb8, [15] = 77};
        Case *c = *state;
        uint16_t number = port_free(SOCK_DGRAM);
        bool is_v6 = c->flavour == FLAVOUR_V6;
        Port *port = port_make(IPPROTO_UDP, number, is_v6 ? v6 : v4, is_v6 ? 16 : 4);

        hold_ports(c, &port, 1);
        assert_true(is_refused(c, IPPROTO_UDP, number));
        model_free(port);
}

/* The peer begins to connect while nobody listens, and is let in when somebody does. */
static void test_let_in(void **state) {
        Case *c = *state;
        uint16_t number = port_free(SOCK_STREAM);
        int fd, listener, error = 0;

        hold_one(c, IPPROTO_TCP, number, true);
        fd = port_reach(&c->world, c->flavour, SOCK_STREAM, number);
        struct pollfd p = {.fd = fd, .events = POLLOUT};
        assert_int_equal(poll(&p, 1, SILENCE_MS), 0);
        listener = port_open(c->flavour, SOCK_STREAM, number);
        check(hold_clear());
        assert_int_equal(poll(&p, 1, RESUME_MS), 1);
        assert_int_equal(getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &(socklen_t){sizeof error}), 0);
        assert_int_equal(error, 0);
        close(fd);
        close(listener);
}

/* What is not to be dropped: connections that a listener has accepted, and what leaves from or for such a
 * port, without an error for who sends. */
static void test_others(void **state) {
        Case *c = *state;
        struct sockaddr_storage peer;
        socklen_t size = sizeof peer;
        uint16_t listens, number = port_free(SOCK_DGRAM);
        int ours, theirs;
        Port *ports[2];
        char byte;
        Line l;

        listens = line_listen(c->flavour, &l);
        line_connect(&c->world, c->flavour, listens, &l);
        ours = port_open(c->flavour, SOCK_DGRAM, number);
        theirs = port_reach(&c->world, c->flavour, SOCK_DGRAM, number);
        assert_int_equal(send(theirs, "x", 1, 0), 1);
        assert_int_equal(recvfrom(ours, &byte, 1, 0, (struct sockaddr *)&peer, &size), 1);
        ports[0] = port_at(c, IPPROTO_TCP, listens, true);
        /* The peer's own number, too: that is no port of ours. */
        ports[1] = port_at(c, IPPROTO_UDP, ntohs(((struct sockaddr_in *)&peer)->sin_port), true);
        hold_ports(c, ports, 2);
        assert_true(data_passes(l.ours, l.peer, 1000));
        assert_true(data_passes(l.peer, l.ours, 1000));
        assert_int_equal(sendto(ours, "y", 1, 0, (struct sockaddr *)&peer, size), 1);
        struct pollfd p = {.fd = theirs, .events = POLLIN};
        assert_int_equal(poll(&p, 1, RESUME_MS), 1);
        assert_int_equal(recv(theirs, &byte, 1, 0), 1);
        hold_one(c, IPPROTO_UDP, number, true);
        assert_int_equal(sendto(ours, "z", 1, 0, (struct sockaddr *)&peer, size), 1);
        assert_int_equal(poll(&p, 1, RESUME_MS), 1);
        model_free(ports[0]);
        model_free(ports[1]);
        close(ours);
        close(theirs);
        line_close(&l);
}

/* Over loopback a packet keeps its mark. */
static void test_mark(void **state) {
        Case *c = *state;
        uint16_t number = port_free(SOCK_DGRAM);
        int ours = port_open(FLAVOUR_V4, SOCK_DGRAM, number), from = socket(AF_INET, SOCK_DGRAM, 0);
        struct sockaddr_in name = {.sin_family = AF_INET,
                                   .sin_port = htons(number),
                                   .sin_addr = {htonl(INADDR_LOOPBACK)}};
        struct pollfd p = {.fd = ours, .events = POLLIN};
        unsigned mark = 0xC115;

        hold_one(c, IPPROTO_UDP, number, true);
        assert_int_equal(connect(from, (struct sockaddr *)&name, sizeof name), 0);
        assert_int_equal(setsockopt(from, SOL_SOCKET, SO_MARK, &mark, sizeof mark), 0);
        assert_int_equal(send(from, "x", 1, 0), 1);
        assert_int_equal(poll(&p, 1, SILENCE_MS), 0);
        mark = 0xC114;
        assert_int_equal(setsockopt(from, SOL_SOCKET, SO_MARK, &mark, sizeof mark), 0);
        assert_int_equal(send(from, "x", 1, 0), 1);
        assert_int_equal(poll(&p, 1, RESUME_MS), 1);
        close(from);
        close(ours);
}

/* In buckets. Ports are no connections: the hold stands, and counts none. */
static void test_many(void **state) {
        Case *c = *state;
        uint16_t number = port_free(SOCK_DGRAM), other = port_free(SOCK_DGRAM);
        Port *ports[MANY];
        size_t held = 1;

        for (size_t i = 0; i < MANY; i++)
                ports[i] = port_at(c, i % 2 ? IPPROTO_TCP : IPPROTO_UDP, (uint16_t)(1024 + 2 * i),
                                   i % 3 == 0);
        for (size_t i = 0; i < MANY; i += MANY / 3 - 1) {
                uint32_t was = ports[i]->port, protocol = ports[i]->protocol;

                ports[i]->port = number;
                ports[i]->protocol = IPPROTO_UDP;
                hold_ports(c, ports, MANY);
                assert_true(is_silent(c, IPPROTO_UDP, number));
                assert_true(is_refused(c, IPPROTO_UDP, other));
                ports[i]->port = was;
                ports[i]->protocol = protocol;
        }
        assert_int_equal(hold_present(&held), 1);
        assert_int_equal(held, 0);
        check(hold_clear());
        assert_int_equal(hold_present(NULL), 0);
        assert_true(is_refused(c, IPPROTO_UDP, number));
        for (size_t i = 0; i < MANY; i++)
                model_free(ports[i]);
}

static void flush(void) {
        struct nft_ctx *context = nft_ctx_new(NFT_CTX_DEFAULT);

        assert_non_null(context);
        assert_int_equal(nft_run_cmd_from_buffer(context, "flush ruleset"), 0);
        nft_ctx_free(context);
}

static void test_guard(void **state) {
        Case *c = *state;
        uint16_t number = port_free(SOCK_DGRAM);
        Port *port = port_at(c, IPPROTO_UDP, number, true);
        const HoldSet set = {.ports = &port, .n_ports = 1}, none = {0};
        HoldGuard *guard = NULL;

        hold_ports(c, &port, 1);
        if (check(hold_guard_start(c->backend, &set, &guard)) == 1)
                skip();
        flush();
        assert_true(is_silent(c, IPPROTO_UDP, number));
        check(hold_guard_update(guard, &none));
        check(hold_set(c->backend, &none, NULL));
        assert_true(is_refused(c, IPPROTO_UDP, number));
        guard = hold_guard_stop(guard);
        check(hold_clear());
        model_free(port);
}

int main(int argc, char **argv) {
        static const struct {
                const char *name;
                CMUnitTestFunction f;
        } both[] = {
                        {"no error for a datagram", test_datagrams},
                        {"no reset for who connects", test_attempts},
                        {"let in afterwards", test_let_in},
                        {"another address", test_address},
                        {"others are left alone", test_others},
                        {"CRIU's mark passes", test_mark},
                        {"many", test_many},
                        {"a guard survives flush ruleset", test_guard},
        };
        static Suite s;
        int begun = suite_begin(argc, argv);

        if (begun != 0)
                return begun;
        for (HoldBackend b = HOLD_IPTABLES; b <= HOLD_NFTABLES; b++) {
                int r = hold_possible(b);

                if (r < 0)
                        print_message("SKIP: every test of %s: %s\n", hold_backend_text(b), err_text(r));
                for (size_t i = 0; r >= 0 && i < ELEMENTS(both); i++)
                        for (Flavour f = FLAVOUR_V4; f <= FLAVOUR_MAPPED; f++)
                                suite_add(&s, both[i].name, both[i].f, b, f);
        }
        return _cmocka_run_group_tests("hold-ports", s.tests, s.n, NULL, NULL);
}

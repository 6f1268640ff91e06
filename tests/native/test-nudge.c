/* SPDX-License-Identifier: GPL-2.0-or-later */

/* Peers that repeat their segment into a hold, until their interval is long: after the hold, some are
 * nudged, and others must wait. Needs root. */

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/err.h"
#include "base/fd.h"
#include "netfilter/hold.h"
#include "netlink/nudge.h"
#include "world.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>

#include <cmocka.h>

#include <linux/sockios.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

/* Intervals double from 0.2 s on: repeated after 0.2, 0.6, 1.4, 3, 6.2 and 12.6 s. */
#define HELD_USEC  (8 * USEC_PER_SEC)
#define WAKES_USEC (500 * USEC_PER_MSEC)

#define FLAVOURS 3

typedef struct Case {
        World world;
        Line lines[2 * FLAVOURS]; /* of each flavour one that is nudged and one that is not */
        Connection *held[2 * FLAVOURS];
} Case;

static int get(int fd, int option) {
        socklen_t size = sizeof(int);
        int value;

        assert_int_equal(getsockopt(fd, IPPROTO_TCP, option, &value, &size), 0);
        return value;
}

static void set(int fd, int option, int value) {
        assert_int_equal(setsockopt(fd, IPPROTO_TCP, option, &value, sizeof value), 0);
}

/* Of the queue's next byte. */
static int queue_seq(int fd, int queue) {
        set(fd, TCP_REPAIR_QUEUE, queue);
        return get(fd, TCP_QUEUE_SEQ);
}

static void queue_seq_set(int fd, int queue, int seq) {
        set(fd, TCP_REPAIR_QUEUE, queue);
        set(fd, TCP_QUEUE_SEQ, seq);
}

/* What a connection is made of, as CRIU sees it. Nothing waits to be read, or to be sent for the first
 * time. */
typedef struct Frozen {
        struct sockaddr_storage local, remote;
        socklen_t size;
        struct tcp_info info;
        struct tcp_repair_window window;
        int sent, unacked, received, timestamp;
} Frozen;

static void freeze(Line *l, Frozen *f) {
        socklen_t size = sizeof f->info;

        *f = (Frozen){.size = sizeof f->local};
        assert_int_equal(getsockname(l->ours, (struct sockaddr *)&f->local, &f->size), 0);
        assert_int_equal(getpeername(l->ours, (struct sockaddr *)&f->remote, &f->size), 0);
        assert_int_equal(getsockopt(l->ours, IPPROTO_TCP, TCP_INFO, &f->info, &size), 0);
        set(l->ours, TCP_REPAIR, TCP_REPAIR_ON);
        size = sizeof f->window;
        assert_int_equal(getsockopt(l->ours, IPPROTO_TCP, TCP_REPAIR_WINDOW, &f->window, &size), 0);
        f->sent = queue_seq(l->ours, TCP_SEND_QUEUE);
        assert_int_equal(ioctl(l->ours, SIOCOUTQ, &f->unacked), 0);
        f->received = queue_seq(l->ours, TCP_RECV_QUEUE);
        f->timestamp = get(l->ours, TCP_TIMESTAMP);
        l->ours = fd_close(l->ours);
}

static void thaw(Line *l, const Frozen *f) {
        const struct tcp_repair_opt options[] = {
                        {.opt_code = TCPOPT_WINDOW,
                         .opt_val = f->info.tcpi_snd_wscale | (uint32_t)f->info.tcpi_rcv_wscale << 16},
                        {.opt_code = TCPOPT_SACK_PERMITTED},
                        {.opt_code = TCPOPT_TIMESTAMP},
        };
        int fd = socket(f->local.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0);

        assert_true(fd >= 0);
        set(fd, TCP_REPAIR, TCP_REPAIR_ON);
        queue_seq_set(fd, TCP_SEND_QUEUE, f->sent);
        queue_seq_set(fd, TCP_RECV_QUEUE, f->received);
        assert_int_equal(bind(fd, (const struct sockaddr *)&f->local, f->size), 0);
        assert_int_equal(connect(fd, (const struct sockaddr *)&f->remote, f->size), 0);
        assert_int_equal(setsockopt(fd, IPPROTO_TCP, TCP_REPAIR_OPTIONS, options, sizeof options), 0);
        set(fd, TCP_TIMESTAMP, f->timestamp);
        assert_int_equal(setsockopt(fd, IPPROTO_TCP, TCP_REPAIR_WINDOW, &f->window, sizeof f->window), 0);
        set(fd, TCP_REPAIR, TCP_REPAIR_OFF);
        l->ours = fd;
}

static void copy_address(ProtobufCBinaryData address, uint8_t out[static 16]) {
        static const uint8_t mapped[12] = {[10] = 0xff, [11] = 0xff};

        if (address.len == 4)
                memcpy(out, mapped, sizeof mapped);
        memcpy(out + 16 - address.len, address.data, address.len);
}

static PeerStream stream_of(const Line *l, const Frozen *f) {
        PeerStream s = {.local_port = (uint16_t)l->connection->local_port,
                        .remote_port = (uint16_t)l->connection->remote_port,
                        .received = (uint32_t)f->received,
                        .sent = (uint32_t)f->sent,
                        .acked = (uint32_t)(f->sent - f->unacked)};

        copy_address(l->connection->local, s.local);
        copy_address(l->connection->remote, s.remote);
        return s;
}

static uint32_t unacknowledged(int fd) {
        struct tcp_info info;
        socklen_t size = sizeof info;

        assert_int_equal(getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &size), 0);
        return info.tcpi_unacked;
}

static void drain(int fd) {
        char buffer[4096];

        while (recv(fd, buffer, sizeof buffer, MSG_DONTWAIT) > 0)
                ;
}

static void hold(Case *c) {
        if (hold_set(HOLD_IPTABLES, HELD(c->held, 2 * FLAVOURS), NULL) < 0)
                fail_msg("%s", err_way());
}

static void sleep_until(uint64_t deadline) {
        while (now_monotonic() < deadline)
                poll(NULL, 0, deadline_ms(deadline));
}

/* Restores our ends, and measures how long each peer is silent after the hold. */
static void wake(Case *c, uint64_t silent[static 2 * FLAVOURS], uint64_t patience) {
        PeerStream streams[FLAVOURS];
        struct pollfd fds[2 * FLAVOURS];
        Frozen frozen;
        uint64_t began;

        for (int i = 0; i < 2 * FLAVOURS; i++) {
                drain(c->lines[i].ours);
                freeze(c->lines + i, &frozen);
                thaw(c->lines + i, &frozen);
                if (i < FLAVOURS)
                        streams[i] = stream_of(c->lines + i, &frozen);
                fds[i] = (struct pollfd){.fd = c->lines[i].ours, .events = POLLIN};
                silent[i] = UINT64_MAX;
        }
        assert_int_equal(hold_clear(), 0);
        began = now_monotonic();
        nudge_peers(streams, FLAVOURS);
        while (now_monotonic() < began + patience) {
                poll(fds, 2 * FLAVOURS, deadline_ms(began + patience));
                for (int i = 0; i < 2 * FLAVOURS; i++)
                        if (fds[i].fd >= 0 && fds[i].revents) {
                                silent[i] = now_monotonic() - began;
                                fds[i].fd = -1;
                        }
        }
        for (int i = 0; i < 2 * FLAVOURS; i++)
                print_message("%s, %s: silent for %.2f s\n", flavour_text((Flavour)(i % FLAVOURS)),
                              i < FLAVOURS ? "nudged" : "left alone",
                              silent[i] == UINT64_MAX ? (double)patience / 1e6 : (double)silent[i] / 1e6);
}

static void check_woken(const uint64_t silent[static 2 * FLAVOURS]) {
        for (int i = 0; i < FLAVOURS; i++) {
                assert_in_range(silent[i], 0, WAKES_USEC);
                assert_true(silent[FLAVOURS + i] > 2 * USEC_PER_SEC);
        }
}

/* A typed key, or the middle of a transfer that stood still before. */
static void test_all_was_acknowledged(void **state) {
        uint64_t silent[2 * FLAVOURS], began;
        Case *c = *state;

        hold(c);
        began = now_monotonic();
        for (int i = 0; i < 2 * FLAVOURS; i++) {
                assert_int_equal(unacknowledged(c->lines[i].peer), 0);
                assert_int_equal(send(c->lines[i].peer, "key", 3, MSG_NOSIGNAL), 3);
        }
        sleep_until(began + HELD_USEC);
        wake(c, silent, 3 * USEC_PER_SEC);
        check_woken(silent);
}

/* The hold swallows the last acknowledgement: the peer repeats what we have. */
static void test_acknowledgement_was_lost(void **state) {
        uint64_t silent[2 * FLAVOURS], began;
        Case *c = *state;

        /* An end that has just sent something delays its acknowledgement. */
        for (int i = 0; i < 2 * FLAVOURS; i++)
                assert_true(data_passes(c->lines[i].ours, c->lines[i].peer, 1000));
        for (int i = 0; i < 2 * FLAVOURS; i++)
                assert_int_equal(send(c->lines[i].peer, "first", 5, MSG_NOSIGNAL), 5);
        hold(c);
        began = now_monotonic();
        for (int i = 0; i < 2 * FLAVOURS; i++)
                assert_int_equal(send(c->lines[i].peer, "second", 6, MSG_NOSIGNAL), 6);
        sleep_until(began + HELD_USEC);
        for (int i = 0; i < 2 * FLAVOURS; i++)
                assert_int_equal(unacknowledged(c->lines[i].peer), 2);
        wake(c, silent, 3 * USEC_PER_SEC);
        check_woken(silent);
}

/* A peer that sends nothing takes no notice. */
static void test_nothing_was_sent(void **state) {
        Case *c = *state;
        uint64_t silent[2 * FLAVOURS];

        hold(c);
        wake(c, silent, USEC_PER_SEC);
        for (int i = 0; i < 2 * FLAVOURS; i++) {
                assert_int_equal(silent[i], UINT64_MAX);
                assert_true(data_passes(c->lines[i].peer, c->lines[i].ours, 1000));
                assert_true(data_passes(c->lines[i].ours, c->lines[i].peer, 1000));
        }
        assert_int_equal(wire_seen(&c->world).resets, 0);
}

static void check_reset(const Case *c, size_t n) {
        for (size_t i = 0; i < n; i++) {
                struct pollfd fd = {.fd = c->lines[i].peer, .events = POLLIN};
                char byte;

                assert_int_equal(poll(&fd, 1, 1000), 1);
                assert_int_equal(recv(fd.fd, &byte, 1, MSG_DONTWAIT), -1);
                assert_int_equal(errno, ECONNRESET);
        }
}

static void check_dismissed(Case *c, bool had_run) {
        PeerStream streams[FLAVOURS];
        Frozen frozen;

        for (int i = 0; i < FLAVOURS; i++) {
                drain(c->lines[i].ours);
                freeze(c->lines + i, &frozen);
                streams[i] = stream_of(c->lines + i, &frozen);
                if (!had_run)
                        continue;
                thaw(c->lines + i, &frozen);
                assert_true(data_passes(c->lines[i].ours, c->lines[i].peer, 1000));
                freeze(c->lines + i, &frozen);
        }
        nudge_dismiss(streams, FLAVOURS);
        check_reset(c, FLAVOURS);
}

/* What could not be restored: an idle peer learns of it, too. */
static void test_nobody_is_there(void **state) {
        check_dismissed(*state, false);
}

/* A tree that was back, had said something, and went down with the machine before anybody knew it. */
static void test_nobody_is_there_any_more(void **state) {
        check_dismissed(*state, true);
}

/* The network gave us other addresses. Of each flavour one connection is idle, and of one the last segment
 * was lost on its way. */
static void test_address_is_another(void **state) {
        PeerStream streams[2 * FLAVOURS];
        Case *c = *state;
        Frozen frozen;

        hold(c);
        for (int i = 0; i < 2 * FLAVOURS; i++) {
                drain(c->lines[i].ours);
                if (i >= FLAVOURS)
                        assert_int_equal(send(c->lines[i].ours, "lost", 4, MSG_NOSIGNAL), 4);
                freeze(c->lines + i, &frozen);
                assert_int_equal(frozen.unacked, i >= FLAVOURS ? 4 : 0);
                streams[i] = stream_of(c->lines + i, &frozen);
        }
        world_move(&c->world);
        assert_int_equal(hold_clear(), 0);
        nudge_dismiss(streams, 2 * FLAVOURS);
        check_reset(c, 2 * FLAVOURS);
}

static int setup(void **state) {
        static Case c;

        if (world_make(&c.world) != 0)
                return -1;
        for (int i = 0; i < 2 * FLAVOURS; i++) {
                line_open(&c.world, (Flavour)(i % FLAVOURS), c.lines + i);
                assert_true(data_passes(c.lines[i].peer, c.lines[i].ours, 1000));
                assert_true(data_passes(c.lines[i].ours, c.lines[i].peer, 1000));
                c.held[i] = c.lines[i].connection;
        }
        poll(NULL, 0, 100); /* every acknowledgement has gone */
        *state = &c;
        return 0;
}

static int teardown(void **state) {
        Case *c = *state;

        for (int i = 0; i < 2 * FLAVOURS; i++)
                line_close(c->lines + i);
        world_end(&c->world);
        return 0;
}

int main(void) {
        const struct CMUnitTest tests[] = {
                        cmocka_unit_test_setup_teardown(test_all_was_acknowledged, setup, teardown),
                        cmocka_unit_test_setup_teardown(test_acknowledgement_was_lost, setup, teardown),
                        cmocka_unit_test_setup_teardown(test_nothing_was_sent, setup, teardown),
                        cmocka_unit_test_setup_teardown(test_nobody_is_there, setup, teardown),
                        cmocka_unit_test_setup_teardown(test_nobody_is_there_any_more, setup, teardown),
                        cmocka_unit_test_setup_teardown(test_address_is_another, setup, teardown),
        };

        if (geteuid() != 0) {
                print_message("SKIP: every test: needs root\n");
                return 77;
        }
        return cmocka_run_group_tests_name("nudge", tests, NULL, NULL);
}

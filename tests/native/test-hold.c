/* SPDX-License-Identifier: GPL-2.0-or-later */

/*
 * The hold against a real kernel and a real peer. Every test runs for each backend, those about packets for
 * each kind of address, in fresh network namespaces. Needs root; a backend that the kernel lacks is skipped
 * with the reason. The program stands alone: it can be copied into a machine and run there; an
 * argument is a pattern of the tests to run.
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

#include <errno.h>
#include <libiptc/libiptc.h>
#include <netinet/in.h>
#include <nftables/libnftables.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

/* Silence is a measured absence: longer than the first retransmissions (RTO 200 ms, 400 ms). */
#define SILENCE_MS 700
/* By then a retransmission has come, whatever the back-off was meanwhile. */
#define RESUME_MS 10000

static void hold_one(const Case *c, const Line *l) {
        HoldBackend used = HOLD_AUTO;

        check(hold_set(c->backend, HELD((Connection **)&l->connection, 1), &used));
        assert_int_equal(used, c->backend);
}

static size_t held(void) {
        size_t n = 0;

        return check(hold_present(&n)) ? n : SIZE_MAX;
}

static void nft(const char *text) {
        struct nft_ctx *context = nft_ctx_new(NFT_CTX_DEFAULT);

        assert_non_null(context);
        assert_int_equal(nft_run_cmd_from_buffer(context, text), 0);
        nft_ctx_free(context);
}

static void test_silence(void **state) {
        Case *c = *state;
        Line l;

        line_open(&c->world, c->flavour, &l);
        assert_true(data_passes(l.ours, l.peer, 1000));
        assert_true(data_passes(l.peer, l.ours, 1000));
        hold_one(c, &l);
        wire_seen(&c->world);
        assert_false(data_passes(l.ours, l.peer, SILENCE_MS));
        assert_int_equal(wire_seen(&c->world).from_ours, 0);
        assert_false(data_passes(l.peer, l.ours, SILENCE_MS));
        Seen seen = wire_seen(&c->world);
        assert_true(seen.from_peer > 0);
        assert_int_equal(seen.from_ours, 0);

        check(hold_clear());
        assert_true(data_passes(l.ours, l.peer, RESUME_MS));
        assert_true(data_passes(l.peer, l.ours, RESUME_MS));
        assert_int_equal(wire_seen(&c->world).resets, 0);
        line_close(&l);
}

/* The peer keeps sending to a socket that is gone. Held: no word comes back. Not held: a reset, which shows
 * that this test can see one. */
static void test_gone(void **state) {
        Case *c = *state;
        Seen seen = {0};
        Line l;

        line_open(&c->world, c->flavour, &l);
        hold_one(c, &l);
        line_vanish(&l);
        wire_seen(&c->world);
        for (int i = 0; i < 3; i++) {
                assert_int_equal(send(l.peer, "x", 1, MSG_NOSIGNAL), 1);
                assert_true(wire_wait_peer(&c->world, RESUME_MS, &seen));
        }
        poll(NULL, 0, SILENCE_MS);
        assert_int_equal(wire_seen(&c->world).from_ours, 0);
        assert_int_equal(seen.resets, 0);

        check(hold_clear());
        struct pollfd end = {.fd = l.peer, .events = POLLIN};
        assert_int_equal(poll(&end, 1, RESUME_MS), 1);
        assert_int_equal(recv(l.peer, &(char){0}, 1, 0), -1);
        assert_int_equal(errno, ECONNRESET);
        assert_true(wire_seen(&c->world).resets > 0);
        line_close(&l);
}

static void test_others(void **state) {
        Case *c = *state;
        Line held_line, other;

        line_open(&c->world, c->flavour, &held_line);
        line_open(&c->world, c->flavour, &other);
        hold_one(c, &held_line);
        assert_true(data_passes(other.ours, other.peer, 1000));
        assert_true(data_passes(other.peer, other.ours, 1000));
        line_close(&other);
        /* A new one, too. */
        line_open(&c->world, c->flavour, &other);
        assert_true(data_passes(other.peer, other.ours, 1000));
        line_close(&other);
        assert_false(data_passes(held_line.peer, held_line.ours, SILENCE_MS));
        line_close(&held_line);
}

static void mark(int fd, unsigned value) {
        assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_MARK, &value, sizeof value), 0);
}

/* Over loopback a packet keeps its mark, so both hooks see it. */
static void test_mark(void **state) {
        Case *c = *state;
        Line l;

        line_open_loopback(&l);
        hold_one(c, &l);
        mark(l.ours, 0xC114);
        mark(l.peer, 0xC114);
        assert_true(data_passes(l.ours, l.peer, 1000));
        assert_true(data_passes(l.peer, l.ours, 1000));
        mark(l.ours, 0xC115);
        mark(l.peer, 0x1C114);
        assert_false(data_passes(l.ours, l.peer, SILENCE_MS));
        assert_false(data_passes(l.peer, l.ours, SILENCE_MS));
        line_close(&l);
}

static void test_replace(void **state) {
        Case *c = *state;
        Line a, b;

        assert_int_equal(held(), SIZE_MAX);
        check(hold_clear());
        line_open(&c->world, FLAVOUR_V4, &a);
        line_open(&c->world, FLAVOUR_V6, &b);
        Connection *both[] = {a.connection, b.connection, a.connection};

        check(hold_set(c->backend, HELD(NULL, 0), NULL));
        assert_int_equal(held(), 0);
        hold_one(c, &a);
        hold_one(c, &a);
        assert_int_equal(held(), 1);
        assert_false(data_passes(a.peer, a.ours, SILENCE_MS));
        assert_true(data_passes(b.peer, b.ours, 1000));
        hold_one(c, &b);
        assert_int_equal(held(), 1);
        assert_true(data_passes(a.peer, a.ours, RESUME_MS));
        assert_false(data_passes(b.peer, b.ours, SILENCE_MS));
        check(hold_set(c->backend, HELD(both, 3), NULL));
        assert_int_equal(held(), 2);
        assert_false(data_passes(a.peer, a.ours, SILENCE_MS));
        check(hold_clear());
        assert_int_equal(held(), SIZE_MAX);
        check(hold_clear());
        assert_true(data_passes(a.ours, a.peer, RESUME_MS));
        line_close(&a);
        line_close(&b);
}

/* Replacing the hold, also by the other backend's, under a peer that never stops sending. */
static void test_gapless(void **state) {
        static const HoldBackend order[] = {HOLD_IPTABLES, HOLD_NFTABLES, HOLD_NFTABLES, HOLD_IPTABLES};
        Case *c = *state;
        Connection **others = connections_invent(300);
        Seen seen = {0};
        pid_t flood;
        Line l;

        line_open(&c->world, FLAVOUR_V4, &l);
        hold_one(c, &l);
        line_vanish(&l);
        flood = world_flood(&c->world, l.connection);
        model_free(others[0]);
        others[0] = model_copy(l.connection);
        for (int i = 0; i < 80; i++) {
                HoldBackend next = order[i % 4];
                int r = hold_set(next, HELD(others, i % 3 == 0 ? 300 : 1), NULL);

                if (r != -EOPNOTSUPP)
                        check(r);
                seen.resets += wire_seen(&c->world).resets;
        }
        assert_true(wire_wait_peer(&c->world, RESUME_MS, &seen));
        assert_int_equal(seen.resets, 0);
        check(hold_clear());
        assert_true(wire_wait_peer(&c->world, RESUME_MS, &seen));
        poll(NULL, 0, 50);
        assert_true(wire_seen(&c->world).resets > 0);
        world_flood_end(flood);
        connections_free(others, 300);
        line_close(&l);
}

static void test_flush(void **state) {
        Case *c = *state;
        Line l;

        line_open(&c->world, c->flavour, &l);
        hold_one(c, &l);
        nft("flush ruleset");
        if (c->backend == HOLD_NFTABLES) {
                assert_int_equal(held(), SIZE_MAX);
        } else {
                assert_int_equal(held(), 1);
                assert_false(data_passes(l.peer, l.ours, SILENCE_MS));
        }
        line_close(&l);
}

static bool plain_hold_returns(int timeout_ms) {
        uint64_t deadline = now_monotonic() + (uint64_t)timeout_ms * USEC_PER_MSEC;
        struct nft_ctx *context = nft_ctx_new(NFT_CTX_DEFAULT);
        bool found = false;

        nft_ctx_buffer_output(context);
        nft_ctx_buffer_error(context);
        while (!found && now_monotonic() < deadline)
                found = nft_run_cmd_from_buffer(context, "list table inet carryover") == 0;
        nft_ctx_free(context);
        return found;
}

static const xt_chainlabel prerouting = "PREROUTING", output = "OUTPUT", foreign = "CARRYOVER-foreign",
                           carryover = "CARRYOVER";

static void raw_flush(void) {
        struct xtc_handle *h = iptc_init("raw");

        assert_non_null(h);
        assert_true(iptc_flush_entries(carryover, h));
        assert_true(iptc_commit(h));
        iptc_free(h);
}

/* Under a flood to a socket that is gone, somebody flushes again and again. */
static void test_guard(void **state) {
        Case *c = *state;
        HoldGuard *guard = NULL;
        Seen seen = {0};
        pid_t flood;
        Line l, other;

        line_open(&c->world, FLAVOUR_V4, &l);
        line_open(&c->world, FLAVOUR_V4, &other);
        hold_one(c, &l);
        if (check(hold_guard_start(c->backend, HELD(&l.connection, 1), &guard)) == 1) {
                print_message("SKIP: this kernel has no owned nftables tables\n");
                line_close(&l);
                line_close(&other);
                skip();
        }
        line_vanish(&l);
        flood = world_flood(&c->world, l.connection);
        for (int i = 0; i < 50; i++) {
                nft("flush ruleset");
                if (c->backend == HOLD_IPTABLES && i == 25)
                        raw_flush();
                seen.resets += wire_seen(&c->world).resets;
        }
        assert_true(wire_wait_peer(&c->world, RESUME_MS, &seen));
        assert_true(data_passes(other.peer, other.ours, 1000));
        if (c->backend == HOLD_NFTABLES)
                assert_true(plain_hold_returns(2000));
        Connection *two[] = {l.connection, other.connection};
        check(hold_guard_update(guard, HELD(two, 2)));
        assert_int_equal(held(), 2);
        assert_false(data_passes(other.peer, other.ours, SILENCE_MS));
        seen.resets += wire_seen(&c->world).resets;
        if (c->backend == HOLD_IPTABLES)
                hold_one(c, &l); /* nothing puts this one back */
        guard = hold_guard_stop(guard);
        assert_int_equal(held(), 1);
        poll(NULL, 0, 100);
        seen.resets += wire_seen(&c->world).resets;
        assert_int_equal(seen.resets, 0);
        check(hold_clear());
        assert_int_equal(held(), SIZE_MAX);
        world_flood_end(flood);
        line_close(&l);
        line_close(&other);
}

/* "CHAIN: TARGET TARGET ..." of the whole raw table, to be freed. */
static char *raw_table(void) {
        struct xtc_handle *h = iptc_init("raw");
        char *text = NULL;
        size_t size;
        FILE *out = open_memstream(&text, &size);

        assert_non_null(h);
        for (const char *chain = iptc_first_chain(h); chain; chain = iptc_next_chain(h)) {
                fprintf(out, "%s:", chain);
                for (const struct ipt_entry *e = iptc_first_rule(chain, h); e; e = iptc_next_rule(e, h))
                        fprintf(out, " %s", iptc_get_target(e, h));
                fputc('\n', out);
        }
        fclose(out);
        iptc_free(h);
        return text;
}

static void foreign_rules(void) {
        uint8_t bytes[sizeof(struct ipt_entry) + sizeof(struct xt_standard_target)]
                        __attribute__((aligned(8))) = {0};
        struct ipt_entry *entry = (void *)bytes;
        struct xt_standard_target *verdict = (void *)(bytes + sizeof *entry);
        struct xtc_handle *h = iptc_init("raw");

        assert_non_null(h);
        entry->target_offset = sizeof *entry;
        entry->next_offset = sizeof bytes;
        verdict->target.u.target_size = sizeof *verdict;
        assert_true(iptc_create_chain(foreign, h));
        strcpy(verdict->target.u.user.name, "RETURN");
        assert_true(iptc_append_entry(foreign, entry, h));
        strcpy(verdict->target.u.user.name, foreign);
        assert_true(iptc_append_entry(prerouting, entry, h));
        strcpy(verdict->target.u.user.name, "ACCEPT");
        entry->ip.proto = IPPROTO_UDP;
        assert_true(iptc_insert_entry(output, entry, 0, h));
        assert_true(iptc_commit(h));
        iptc_free(h);
}

static void test_foreign_iptables(void **state) {
        Connection **list = connections_invent(100);

        foreign_rules();
        char *before = raw_table();
        check(hold_set(HOLD_IPTABLES, HELD(list, 3), NULL));
        char *during = raw_table();
        assert_non_null(strstr(during, "PREROUTING: CARRYOVER CARRYOVER-foreign\n"));
        assert_non_null(strstr(during, "OUTPUT: CARRYOVER ACCEPT\n"));
        assert_non_null(strstr(during, "CARRYOVER-foreign: RETURN\n"));
        check(hold_set(HOLD_IPTABLES, HELD(list, 100), NULL));
        assert_int_equal(held(), 100);
        check(hold_clear());
        char *after = raw_table();
        assert_string_equal(before, after);
        free(before);
        free(during);
        free(after);
        connections_free(list, 100);
}

static void test_foreign_nftables(void **state) {
        nft("add table inet theirs; add table ip carryover; add table inet CRIU-77; add table inet CRIU-7");
        check(hold_set(HOLD_NFTABLES, HELD(NULL, 0), NULL));
        check(hold_remove_criu_table(77));
        check(hold_remove_criu_table(77));
        check(hold_clear());
        /* Deleting fails the test where there is nothing left to delete. */
        nft("delete table inet theirs; delete table ip carryover; delete table inet CRIU-7");
}

/* A table of ours that some other program has emptied is recognised by its name. */
static void test_remnants(void **state) {
        Case *c = *state;

        if (c->backend == HOLD_NFTABLES)
                nft("add table inet carryover");
        else {
                struct xtc_handle *h = iptc_init("raw");

                assert_true(iptc_create_chain(carryover, h));
                assert_true(iptc_commit(h));
                iptc_free(h);
        }
        assert_int_equal(held(), 0);
        check(hold_clear());
        assert_int_equal(held(), SIZE_MAX);
}

/* Held among 10,000, in the middle of both lists and at their ends. */
static void test_many(void **state) {
        enum { N = 10000 };
        Case *c = *state;
        Connection **list = connections_invent(N);
        uint64_t begin, set, cleared;
        Line l, other;

        line_open(&c->world, c->flavour, &l);
        line_open(&c->world, c->flavour, &other);
        model_free(list[N / 2]);
        list[N / 2] = model_copy(l.connection);
        begin = now_monotonic();
        check(hold_set(c->backend, HELD(list, N), NULL));
        set = now_monotonic();
        assert_int_equal(held(), N);
        assert_false(data_passes(l.peer, l.ours, SILENCE_MS));
        assert_false(data_passes(l.ours, l.peer, SILENCE_MS));
        assert_true(data_passes(other.peer, other.ours, 1000));
        cleared = now_monotonic();
        check(hold_clear());
        print_message("10,000 connections: set %llu ms, clear %llu ms\n",
                      (unsigned long long)(set - begin) / 1000,
                      (unsigned long long)(now_monotonic() - cleared) / 1000);
        assert_true(set - begin < 10 * USEC_PER_SEC);
        assert_true(data_passes(l.ours, l.peer, RESUME_MS));
        line_close(&l);
        line_close(&other);
        connections_free(list, N);
}

static void test_auto(void **state) {
        Case *c = *state;
        HoldBackend used = HOLD_AUTO;
        Line l;

        line_open(&c->world, FLAVOUR_V4, &l);
        check(hold_set(HOLD_AUTO, HELD(&l.connection, 1), &used));
        assert_true(used == HOLD_IPTABLES || used == HOLD_NFTABLES);
        assert_false(data_passes(l.ours, l.peer, SILENCE_MS));
        check(hold_clear());
        line_close(&l);
}

/* The others are held all the same. */
static void test_left_out(void **state) {
        Connection **list = connections_invent(2);
        HoldBackend parsed = HOLD_AUTO;

        list[0]->remote_port = 0;
        check(hold_set(HOLD_AUTO, HELD(list, 2), NULL));
        assert_int_equal(held(), 1);
        check(hold_clear());
        assert_int_equal(hold_backend_parse("nftables", &parsed), 0);
        assert_int_equal(parsed, HOLD_NFTABLES);
        assert_int_equal(hold_backend_parse("ipfw", &parsed), -EINVAL);
        assert_string_equal(hold_backend_text(HOLD_IPTABLES), "iptables");
        connections_free(list, 2);
}

/* 1 if the kernel has this backend; asked in a namespace of its own. */
static bool backend_works(HoldBackend backend) {
        World w;
        int r;

        if (world_make(&w) != 0)
                return false;
        r = hold_set(backend, HELD(NULL, 0), NULL);
        world_end(&w);
        if (r < 0)
                print_message("SKIP: every test of %s: %s\n", hold_backend_text(backend), err_text(r));
        return r == 0;
}

int main(int argc, char **argv) {
        static const struct {
                const char *name;
                CMUnitTestFunction f;
                bool each_flavour;
        } both[] = {
                        {"silent while held, goes on after", test_silence, true},
                        {"no reset for a socket that is gone", test_gone, true},
                        {"other connections are left alone", test_others, true},
                        {"CRIU's mark passes", test_mark, false},
                        {"flush ruleset", test_flush, true},
                        {"a guard survives flush ruleset", test_guard, false},
                        {"replace, repeat, clear twice", test_replace, false},
                        {"replacing leaves no gap", test_gapless, false},
                        {"remnants are recognised", test_remnants, false},
                        {"10,000 connections", test_many, true},
        };
        static Suite s;
        int begun = suite_begin(argc, argv);

        if (begun != 0)
                return begun;
        for (HoldBackend b = HOLD_IPTABLES; b <= HOLD_NFTABLES; b++) {
                if (!backend_works(b))
                        continue;
                for (size_t i = 0; i < ELEMENTS(both); i++)
                        for (Flavour f = FLAVOUR_V4;
                             f <= (both[i].each_flavour ? FLAVOUR_MAPPED : FLAVOUR_V4); f++)
                                suite_add(&s, both[i].name, both[i].f, b, f);
                suite_add(&s, "other people's rules stay",
                          b == HOLD_IPTABLES ? test_foreign_iptables : test_foreign_nftables, b, FLAVOUR_V4);
        }
        suite_add(&s, "auto", test_auto, HOLD_AUTO, FLAVOUR_V4);
        suite_add(&s, "what is no connection is left out", test_left_out, HOLD_AUTO, FLAVOUR_V4);
        return _cmocka_run_group_tests("hold", s.tests, s.n, NULL, NULL);
}

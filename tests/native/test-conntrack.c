/* SPDX-License-Identifier: GPL-2.0-or-later */

/* Connections behind the machine's own NAT: held as they look outside, and continued with their mapping
 * after the whole tracking table was lost. Needs root. */

#include "base/cleanup.h"
#include "base/err.h"
#include "base/fd.h"
#include "base/text.h"
#include "netfilter/conntrack.h"
#include "netfilter/hold.h"
#include "world.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <libnetfilter_conntrack/libnetfilter_conntrack.h>
#include <netinet/in.h>
#include <nftables/libnftables.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define SILENCE_MS 700
#define RESUME_MS  10000

typedef enum Nat { NAT_NONE, NAT_SOURCE, NAT_DESTINATION } Nat;

typedef struct Case {
        Nat nat;
        Flavour flavour;
        World world;
} Case;

static void nft(const char *text) {
        struct nft_ctx *context = nft_ctx_new(NFT_CTX_DEFAULT);

        assert_non_null(context);
        assert_int_equal(nft_run_cmd_from_buffer(context, text), 0);
        nft_ctx_free(context);
}

/* As after the jump: nothing is tracked, the rules are there. */
static void forget_all(void) {
        struct nfct_handle *h = nfct_open(CONNTRACK, 0);
        const uint8_t families[] = {AF_INET, AF_INET6};

        assert_non_null(h);
        for (size_t i = 0; i < ELEMENTS(families); i++)
                assert_int_equal(nfct_query(h, NFCT_Q_FLUSH, &families[i]), 0);
        nfct_close(h);
}

/* The mapping's ports are chosen at random, so that one which is made anew is another one. */
static void open_behind_source_nat(Case *c, Line *l) {
        struct sockaddr_in6 seen;

        world_ip("addr add 192.0.2.77/24 dev wire0");
        world_ip("addr add 2001:db8::77/64 dev wire0 nodad");
        nft("add table inet t; add chain inet t c { type nat hook postrouting priority 100; };"
            "add rule inet t c meta l4proto tcp snat ip to 192.0.2.77:20000-30000 fully-random;"
            "add rule inet t c meta l4proto tcp snat ip6 to [2001:db8::77]:20000-30000 fully-random");
        line_open_out(&c->world, c->flavour, l);
        assert_int_equal(getpeername(l->peer, (struct sockaddr *)&seen, &(socklen_t){sizeof seen}), 0);
        assert_in_range(ntohs(seen.sin6_port), 20000, 30000);
}

static void open_behind_destination_nat(Case *c, Line *l) {
        uint16_t port = line_listen(c->flavour, l);
        char text[256];

        snprintf(text, sizeof text,
                 "add table inet t; add chain inet t c { type nat hook prerouting priority -100; };"
                 "add rule inet t c tcp dport 4242 redirect to :%u",
                 port);
        nft(text);
        line_connect(&c->world, c->flavour, 4242, l);
        /* New connections to the port go elsewhere: only the mapping leads to the socket. */
        nft("flush chain inet t c; add rule inet t c tcp dport 4242 redirect to :9");
}

static void open_tracked(Case *c, Line *l) {
        if (c->nat == NAT_SOURCE)
                open_behind_source_nat(c, l);
        else if (c->nat == NAT_DESTINATION)
                open_behind_destination_nat(c, l);
        else {
                /* What is not known in the table is dropped, as a careful firewall does. */
                nft("add table inet t; add chain inet t c { type filter hook input priority 0; };"
                    "add rule inet t c tcp flags & (syn | ack) == syn accept; "
                    "add rule inet t c meta l4proto tcp ct state != established drop");
                line_open(&c->world, c->flavour, l);
        }
        assert_true(data_passes(l->ours, l->peer, 1000));
        assert_true(data_passes(l->peer, l->ours, 1000));
}

/* The hold as flow puts it on: the connection, and how it looks outside. */
static void hold_with_wires(Case *c, const Line *l) {
        Connection **wires = NULL, *held[2] = {l->connection};
        size_t n = 0;

        check(conntrack_wires(&l->connection, 1, &wires, &n));
        assert_int_equal(n, c->nat == NAT_NONE ? 0 : 1);
        if (n == 1) {
                held[1] = wires[0];
                if (c->nat == NAT_SOURCE)
                        assert_in_range(wires[0]->local_port, 20000, 30000);
                else
                        assert_int_equal(wires[0]->local_port, 4242);
        }
        check(hold_set(HOLD_AUTO, HELD(held, 1 + n), NULL));
        if (n == 1)
                model_free(wires[0]);
        free(wires);
}

static void test_continues(void **state) {
        Case *c = *state;
        Ticket ticket = TICKET__INIT;
        Line l;

        open_tracked(c, &l);
        hold_with_wires(c, &l);
        check(conntrack_save(HELD(&l.connection, 1), &ticket));
        assert_int_equal(ticket.n_conntrack, 1);
        forget_all();
        assert_false(data_passes(l.peer, l.ours, SILENCE_MS));
        assert_false(data_passes(l.ours, l.peer, SILENCE_MS));
        assert_int_equal(check(conntrack_restore(&ticket)), 1);
        assert_int_equal(check(conntrack_restore(&ticket)), 0);
        check(hold_clear());
        assert_true(data_passes(l.peer, l.ours, RESUME_MS));
        assert_true(data_passes(l.ours, l.peer, RESUME_MS));
        assert_int_equal(wire_seen(&c->world).resets, 0);

        /* What was put back can be saved and put back again. */
        Ticket again = TICKET__INIT;
        hold_with_wires(c, &l);
        check(conntrack_save(HELD(&l.connection, 1), &again));
        forget_all();
        assert_int_equal(check(conntrack_restore(&again)), 1);
        check(hold_clear());
        assert_true(data_passes(l.ours, l.peer, RESUME_MS));
        assert_true(data_passes(l.peer, l.ours, RESUME_MS));
        for (size_t i = 0; i < 1; i++) {
                free(ticket.conntrack[i].data);
                free(again.conntrack[i].data);
        }
        free(ticket.conntrack);
        free(again.conntrack);
        line_close(&l);
}

/* Without the entry the connection is cut: what the test above could not do without. */
static void test_lost(void **state) {
        Case *c = *state;
        Line l;

        open_tracked(c, &l);
        forget_all();
        assert_false(data_passes(l.peer, l.ours, SILENCE_MS));
        line_close(&l);
}

/* The socket is gone and nothing is tracked, as in the new kernel: the peer must get no word. */
static void test_held_outside(void **state) {
        Case *c = *state;
        Line l;

        open_tracked(c, &l);
        hold_with_wires(c, &l);
        line_vanish(&l);
        forget_all();
        wire_seen(&c->world);
        for (int i = 0; i < 3; i++)
                assert_int_equal(send(l.peer, "x", 1, MSG_NOSIGNAL), 1);
        poll(NULL, 0, SILENCE_MS);
        Seen seen = wire_seen(&c->world);
        assert_true(seen.from_peer > 0);
        assert_int_equal(seen.from_ours, 0);
        line_close(&l);
}

static void test_untracked(void **state) {
        Case *c = *state;
        Ticket ticket = TICKET__INIT;
        Connection **wires;
        size_t n = 7;
        Line l;

        line_open(&c->world, c->flavour, &l);
        check(conntrack_save(HELD(&l.connection, 1), &ticket));
        assert_int_equal(ticket.n_conntrack, 0);
        check(conntrack_wires(&l.connection, 1, &wires, &n));
        assert_int_equal(n, 0);
        assert_int_equal(check(conntrack_restore(&ticket)), 0);
        line_close(&l);
}

/* Every byte of a saved entry altered in turn, and every length: refused, or an entry; never a crash. */
static void test_damaged(void **state) {
        Case *c = *state;
        Ticket ticket = TICKET__INIT;
        uint8_t copy[4096];
        Line l;

        open_tracked(c, &l);
        check(conntrack_save(HELD(&l.connection, 1), &ticket));
        ProtobufCBinaryData good = ticket.conntrack[0];
        assert_in_range(good.len, 64, sizeof copy);
        for (size_t size = 0; size < good.len; size++) {
                ticket.conntrack[0] = (ProtobufCBinaryData){.len = size, .data = good.data};
                assert_int_equal(conntrack_restore(&ticket), -EBADMSG);
        }
        for (size_t i = 0; i < good.len; i++) {
                memcpy(copy, good.data, good.len);
                copy[i] ^= 0xff;
                ticket.conntrack[0] = (ProtobufCBinaryData){.len = good.len, .data = copy};
                (void)conntrack_restore(&ticket);
        }
        free(good.data);
        free(ticket.conntrack);
        line_close(&l);
}

static int setup(void **state) {
        Case *c = *state;

        return world_make(&c->world) == 0 ? 0 : -1;
}

static int teardown(void **state) {
        Case *c = *state;

        world_end(&c->world);
        return 0;
}

int main(int argc, char **argv) {
        static const char *const nat_names[] = {"no NAT", "source NAT", "destination NAT"};
        static const struct {
                const char *name;
                CMUnitTestFunction f;
                Nat first, last;
        } kinds[] = {
                        {"goes on with its mapping", test_continues, NAT_NONE, NAT_DESTINATION},
                        {"is cut without its entry", test_lost, NAT_NONE, NAT_DESTINATION},
                        {"is held as it looks outside", test_held_outside, NAT_NONE, NAT_DESTINATION},
                        {"untracked is fine", test_untracked, NAT_NONE, NAT_NONE},
                        {"damaged bytes are refused", test_damaged, NAT_SOURCE, NAT_SOURCE},
        };
        static struct CMUnitTest tests[64];
        static Case cases[64];
        size_t n = 0;

        if (argc > 1)
                cmocka_set_test_filter(argv[1]);
        if (geteuid() != 0) {
                print_message("SKIP: every test: needs root\n");
                return 77;
        }
        for (size_t i = 0; i < ELEMENTS(kinds); i++)
                for (Nat nat = kinds[i].first; nat <= kinds[i].last; nat++)
                        for (Flavour f = FLAVOUR_V4; f <= FLAVOUR_V6; f++) {
                                cases[n] = (Case){.nat = nat, .flavour = f};
                                tests[n] = (struct CMUnitTest){
                                                .name = text_format("%s, %s: %s", flavour_text(f),
                                                                    nat_names[nat], kinds[i].name),
                                                .test_func = kinds[i].f,
                                                .setup_func = setup,
                                                .teardown_func = teardown,
                                                .initial_state = &cases[n],
                                };
                                n++;
                        }
        return _cmocka_run_group_tests("conntrack", tests, n, NULL, NULL);
}

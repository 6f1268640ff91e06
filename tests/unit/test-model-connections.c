/* SPDX-License-Identifier: GPL-2.0-or-later */

#include "base/cleanup.h"
#include "model/connections.h"
#include "tests/unit/ticket.h"

#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static Connection *connection(uint8_t last, uint32_t port) {
        Connection *c = model_new(Connection, connection__init);
        uint8_t local[] = {10, 0, 0, 1}, remote[] = {10, 0, 0, last};

        assert_non_null(c);
        assert_int_equal(model_set_bytes(&c->local, local, sizeof local), 0);
        assert_int_equal(model_set_bytes(&c->remote, remote, sizeof remote), 0);
        c->local_port = 22;
        c->remote_port = port;
        return c;
}

static Port *port(uint32_t protocol, uint32_t number) {
        static const uint8_t local[4] = {10, 0, 0, 1};
        Port *p = model_new(Port, port__init);

        assert_non_null(p);
        p->protocol = protocol;
        p->port = number;
        assert_int_equal(model_set_bytes(&p->local, local, sizeof local), 0);
        return p;
}

static Ticket *sample(void) {
        Ticket *t = sample_ticket("aa");

        assert_int_equal(model_set_string(&t->hold_backend, "nftables"), 0);
        for (uint8_t i = 0; i < 2; i++) {
                Tree *tree = sample_tree(t, i ? "b" : "a", 1000u + i);

                assert_int_equal(model_append(tree->ids, tree->n_ids, 1000u + 7 * i), 0);
                assert_int_equal(model_append(tree->connections, tree->n_connections,
                                              connection(2, 4000u + i)),
                                 0);
        }
        assert_int_equal(model_append(t->trees[1]->wires, t->trees[1]->n_wires, connection(3, 4001)), 0);
        for (uint32_t i = 0; i < 2; i++)
                assert_int_equal(model_append(t->trees[i]->ports, t->trees[i]->n_ports,
                                              port(IPPROTO_UDP, 60001 + i)),
                                 0);
        return t;
}

static void test_early_holds_all(void **state) {
        _cleanup_(ticket_freep) Ticket *t = sample();
        _cleanup_(early_freep) Early *early = NULL;

        assert_int_equal(early_of(t, &early), 0);
        assert_int_equal(early->max_pid, 1007);
        assert_int_equal(early->n_connections, 3);
        assert_int_equal(early->n_ports, 2);
        assert_int_equal(early->ports[1]->port, 60002);
        assert_memory_equal(early->ports[1]->local.data, "\x0a\0\0\x01", 4);
        assert_string_equal(early->hold_backend, "nftables");
}

static void test_what_is_over_is_not_held(void **state) {
        _cleanup_(ticket_freep) Ticket *t = sample();
        _cleanup_(hold_set_done) HoldSet c = {0};

        t->trees[1]->outcome = model_new(Outcome, outcome__init);
        t->trees[1]->outcome->state = OUTCOME__STATE__PENDING;
        assert_int_equal(hold_set_of(t, &c), 0);
        assert_int_equal(c.n_connections, 3);
        assert_int_equal(c.n_ports, 2);
        hold_set_done(&c);
        t->trees[1]->outcome->state = OUTCOME__STATE__CARRIED;
        assert_int_equal(hold_set_of(t, &c), 0);
        assert_int_equal(c.n_connections, 1);
        assert_int_equal(c.connections[0]->remote_port, 4000);
        assert_int_equal(c.n_ports, 1);
        assert_int_equal(c.ports[0]->port, 60001);
}

/* Of trees that each have as many ports as a tree may have. */
static Ticket *crowd(const uint32_t *uids, size_t n) {
        Ticket *t = model_new(Ticket, ticket__init);

        assert_non_null(t);
        for (size_t i = 0; i < n; i++) {
                Tree *tree = model_new(Tree, tree__init);

                assert_non_null(tree);
                tree->uid = uids[i];
                for (uint32_t k = 0; k < 256; k++)
                        assert_int_equal(model_append(tree->ports, tree->n_ports,
                                                      port(IPPROTO_UDP, 2000 + 256 * (uint32_t)i + k)),
                                         0);
                assert_int_equal(model_append(t->trees, t->n_trees, tree), 0);
        }
        return t;
}

static size_t count_ports(const Ticket *t) {
        _cleanup_(hold_set_done) HoldSet set = {0};

        assert_int_equal(hold_set_of(t, &set), 0);
        return set.n_ports;
}

/* However many trees somebody has, and however many there are. */
static void test_ports_bounded(void **state) {
        static const uint32_t one[] = {1000, 1000, 1000, 0, 0}, many[] = {1000, 1001, 1002, 1003, 1004, 0};
        _cleanup_(ticket_freep) Ticket *of_one = crowd(one, ELEMENTS(one));
        _cleanup_(ticket_freep) Ticket *of_many = crowd(many, ELEMENTS(many));

        assert_int_equal(count_ports(of_one), 256 + 512);
        assert_int_equal(count_ports(of_many), 1024 + 256);
        of_many->trees[0]->outcome = model_new(Outcome, outcome__init);
        assert_non_null(of_many->trees[0]->outcome);
        of_many->trees[0]->outcome->state =
                        OUTCOME__STATE__CARRIED; /* nobody moves up: that port was free */
        assert_int_equal(count_ports(of_many), 1024);
        of_many->trees[0]->outcome->state = OUTCOME__STATE__LEFT; /* it never had any */
        assert_int_equal(count_ports(of_many), 1024 + 256);
}

/* A tree without a connection is held, too. */
static void test_empty(void **state) {
        Port *one = port(IPPROTO_TCP, 80);
        HoldSet set = {0};

        assert_true(hold_set_is_empty(&set));
        set.ports = &one;
        set.n_ports = 1;
        assert_false(hold_set_is_empty(&set));
        model_free(one);
}

static void test_covers(void **state) {
        _cleanup_(ticket_freep) Ticket *t = sample();
        _cleanup_(early_freep) Early *loaded = NULL, *same = NULL, *less = NULL;

        assert_int_equal(early_of(t, &loaded), 0);
        assert_int_equal(early_of(t, &same), 0);
        assert_true(early_covers(loaded, same));
        same->max_pid++;
        assert_false(early_covers(loaded, same));
        same->max_pid--;
        same->connections[2]->remote_port++;
        assert_false(early_covers(loaded, same));
        same->connections[2]->remote_port--;
        same->ports[1]->protocol = IPPROTO_TCP;
        assert_false(early_covers(loaded, same));
        same->ports[1]->protocol = IPPROTO_UDP;
        same->ports[1]->local.data[3]++;
        assert_false(early_covers(loaded, same));
        same->ports[1]->local.data[3]--;
        same->ports[1]->port++;
        assert_false(early_covers(loaded, same));
        same->ports[1]->port--;
        assert_true(early_covers(loaded, same));

        t->trees[1]->outcome = model_new(Outcome, outcome__init);
        t->trees[1]->outcome->state = OUTCOME__STATE__LEFT;
        assert_int_equal(early_of(t, &less), 0);
        assert_true(early_covers(loaded, less));
        assert_false(early_covers(less, loaded));

        /* Where no byte of an address was decoded there is no pointer either. */
        loaded->connections[0]->local.len = same->connections[0]->local.len = 0;
        free(TAKE(loaded->connections[0]->local.data));
        free(TAKE(same->connections[0]->local.data));
        assert_true(early_covers(loaded, same));
}

/* A key that is forgotten is in no byte that is written. */
static void test_key_of_early(void **state) {
        static const uint8_t key[BOX_KEY] = "a key of thirty-two bytes, no NU";
        _cleanup_(early_freep) Early *early = model_new(Early, early__init);
        uint8_t bytes[256];
        size_t n;

        assert_int_equal(model_set_string(&early->ticket_id, "x"), 0);
        assert_int_equal(model_set_string(&early->hold_backend, "auto"), 0);
        assert_int_equal(early_set_key(early, key), 0);
        n = early__pack(early, bytes);
        assert_non_null(memmem(bytes, n, key, sizeof key));
        early_forget_key(early);
        n = early__pack(early, bytes);
        assert_null(memmem(bytes, n, "thirty", 6));
        assert_false(early->has_store_key);
        early_forget_key(early);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                        cmocka_unit_test(test_early_holds_all),
                        cmocka_unit_test(test_what_is_over_is_not_held),
                        cmocka_unit_test(test_ports_bounded),
                        cmocka_unit_test(test_empty),
                        cmocka_unit_test(test_covers),
                        cmocka_unit_test(test_key_of_early),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: GPL-2.0-or-later */

/* The last hook of a shutdown, where no store is mounted any more. Needs root: /run is a tmpfs in a mount
 * namespace, and the rules are in a network namespace, of the test's own. */

#include "base/cleanup.h"
#include "flow/flow.h"
#include "flow/hold-note.h"
#include "netfilter/hold.h"
#include "store/store.h"
#include "tests/unit/own-run.h"

#include <netinet/in.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static void note(size_t n_connections, size_t n_ports) {
        uint8_t local[4] = {192, 0, 2, 1}, remote[4] = {192, 0, 2, 2};
        Connection connection = CONNECTION__INIT, *items[] = {&connection};
        Port port = PORT__INIT, *ports[] = {&port};
        Ticket ticket = TICKET__INIT;

        connection.local = (ProtobufCBinaryData){sizeof local, local};
        connection.remote = (ProtobufCBinaryData){sizeof remote, remote};
        connection.local_port = 22;
        connection.remote_port = 40000;
        port.protocol = IPPROTO_UDP;
        port.port = 60001;
        port.local = connection.local;
        ticket.id = (char *)"aa";
        assert_int_equal(hold_note_write(&ticket, HOLD_AUTO,
                                         &(HoldSet){items, n_connections, ports, n_ports}),
                         0);
}

static void test_put_back(void **state) {
        size_t n = 0;

        if (hold_possible(HOLD_AUTO) < 0) { /* this kernel has no packet filter for us */
                skip();
                return;
        }
        note(1, 1);
        assert_int_equal(flow_last(), 0);
        assert_int_equal(hold_present(&n), 1);
        assert_int_equal(n, 1);
        assert_int_equal(hold_clear(), 0);
        note(0, 1); /* a tree without a connection */
        assert_int_equal(flow_last(), 0);
        assert_int_equal(hold_present(&n), 1);
        assert_int_equal(n, 0);
        assert_int_equal(hold_clear(), 0);
}

static void test_nothing_is_held(void **state) {
        assert_int_equal(flow_last(), 0);
        assert_int_equal(hold_present(NULL), 0);
        note(0, 0);
        assert_int_equal(flow_last(), 0);
        assert_int_equal(hold_present(NULL), 0);
        note(1, 1);
        hold_note_forget(); /* its restore has the hold */
        assert_int_equal(flow_last(), 0);
        assert_int_equal(hold_present(NULL), 0);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                        cmocka_unit_test(test_nothing_is_held),
                        cmocka_unit_test(test_put_back),
        };

        int r = own_run();

        if (r == 0 && unshare(CLONE_NEWNET) < 0)
                return 1;
        return r ?: cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: GPL-2.0-or-later */

/* What is asked to be held, before any backend sees it. */

#include "base/cleanup.h"
#include "netfilter/internal.h"

#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static uint8_t host[] = {10, 0, 0, 1};

#define ADDRESS(size)                                                                                       \
        { .len = (size), .data = host }

/* One tree's part is never the end of everybody's hold. */
static void test_left_out(void **state) {
        Connection good = CONNECTION__INIT, no_remote_port = CONNECTION__INIT,
                   no_local_port = CONNECTION__INIT, beyond = CONNECTION__INIT,
                   no_address = CONNECTION__INIT, mixed = CONNECTION__INIT;
        Connection *connections[] = {&no_remote_port, &good, &no_local_port, &beyond, &no_address, &mixed};
        Port port = PORT__INIT, no_port = PORT__INIT, no_protocol = PORT__INIT;
        Port *ports[] = {&no_port, &port, &no_protocol};
        const HoldSet set = {.connections = connections,
                             .n_connections = ELEMENTS(connections),
                             .ports = ports,
                             .n_ports = ELEMENTS(ports)};
        uint8_t v6[16] = {0x20, 1};
        _cleanup_(hold_list_done) HoldList list = {0};

        for (size_t i = 0; i < ELEMENTS(connections); i++) {
                connections[i]->local = connections[i]->remote = (ProtobufCBinaryData)ADDRESS(4);
                connections[i]->local_port = 22;
                connections[i]->remote_port = 5000 + (uint32_t)i;
        }
        no_remote_port.remote_port = 0; /* connect(2) to it is begun, and a SYN is sent */
        no_local_port.local_port = 0;
        beyond.remote_port = 65536;
        no_address.local.len = 3;
        mixed.remote = (ProtobufCBinaryData){.len = sizeof v6, .data = v6};
        for (size_t i = 0; i < ELEMENTS(ports); i++) {
                ports[i]->local = (ProtobufCBinaryData)ADDRESS(4);
                ports[i]->protocol = IPPROTO_UDP;
                ports[i]->port = 7000;
        }
        no_port.port = 0;
        no_protocol.protocol = IPPROTO_SCTP;
        assert_int_equal(hold_list_make(&set, &list), 0);
        assert_int_equal(list.v4.n_pairs, 1);
        assert_int_equal(list.v4.pairs[0].remote_port, 5001);
        assert_int_equal(list.v6.n_pairs, 0);
        assert_int_equal(list.v4.n_ports, 1);
        assert_int_equal(list.v4.ports[0].port, 7000);
        assert_int_equal(list.v6.n_ports, 0);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                        cmocka_unit_test(test_left_out),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}

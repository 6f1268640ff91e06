/* SPDX-License-Identifier: GPL-2.0-or-later */

/* Peers of a tree whose images nobody can read: they are encrypted, and carryover-give-up has no memory to
 * open them in. */

#include "base/cleanup.h"
#include "base/fd.h"
#include "model/box.h"
#include "restore/restore.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

static void test_without_images(void **state) {
        static uint8_t local[16] = {[10] = 0xff, 0xff, 10, 0, 0, 1},
                       remote[16] = {[10] = 0xff, 0xff, 192, 0, 2, 2}, outside[4] = {198, 51, 100, 7},
                       far[4] = {192, 0, 2, 2};
        static const uint8_t key[BOX_KEY];
        char path[] = "/tmp/carryover-test-XXXXXX";
        _cleanup_(freep) PeerStream *streams = NULL;
        Connection wire = CONNECTION__INIT, *wires[] = {&wire};
        Stream stream = STREAM__INIT, *noted[] = {&stream};
        Traces traces = TRACES__INIT;
        Tree tree = TREE__INIT;
        Store store = {.fd = -1};
        Config config = {0};
        size_t n = 0;

        assert_non_null(mkdtemp(path));
        snprintf(config.store, sizeof config.store, "%s/store", path);
        assert_int_equal(store_open(&config, &store), 0);
        stream.local = (ProtobufCBinaryData){sizeof local, local};
        stream.remote = (ProtobufCBinaryData){sizeof remote, remote};
        stream.local_port = 22;
        stream.remote_port = 40000;
        stream.received = 7;
        stream.sent = 9;
        stream.acked = 8;
        traces.streams = noted;
        traces.n_streams = 1;
        wire.local = (ProtobufCBinaryData){sizeof outside, outside};
        wire.remote = (ProtobufCBinaryData){sizeof far, far};
        wire.local_port = 2222;
        wire.remote_port = 40000;
        tree.name = (char *)"session-4";
        tree.traces = &traces;
        tree.wires = wires;
        tree.n_wires = 1;
        assert_int_equal(restore_peers(&store, &(ImageKeys){.box = key}, &tree, &streams, &n), 0);
        assert_int_equal(n, 1);
        assert_int_equal(streams[0].received, 7);
        assert_int_equal(streams[0].sent, 9);
        assert_int_equal(streams[0].acked, 8);
        assert_int_equal(streams[0].local_port, 2222); /* as the peer knows it */
        assert_memory_equal(streams[0].local + 12, outside, 4);
        store_close(&store);
        assert_int_equal(rmdir(config.store), 0);
        assert_int_equal(rmdir(path), 0);
}

int main(void) {
        const struct CMUnitTest tests[] = {cmocka_unit_test(test_without_images)};

        return cmocka_run_group_tests(tests, NULL, NULL);
}

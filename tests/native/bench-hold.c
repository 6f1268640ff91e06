/* SPDX-License-Identifier: GPL-2.0-or-later */

/*
 * What the hold costs: the time of hold_set(), and what every packet of the machine pays meanwhile, as the
 * time of a round trip of one byte over a veth pair on a connection that is not held. The figures that
 * decide what HOLD_AUTO means are ratios of one run (src/netfilter/README.md).
 */

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/err.h"
#include "netfilter/hold.h"
#include "world.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>

#define ROUNDS  20
#define ECHOES  2000
#define REPEATS 5

/* Of some rounds the quickest is the one that nothing else on the machine disturbed. */
/* Microseconds of one round trip. */
static double round_trip(const Line *l) {
        double best = 0;
        char byte = 'x';

        for (size_t i = 0; i < ROUNDS; i++) {
                uint64_t begin = now_monotonic();

                for (int k = 0; k < ECHOES; k++)
                        if (send(l->peer, &byte, 1, 0) != 1 || recv(l->ours, &byte, 1, 0) != 1 ||
                            send(l->ours, &byte, 1, 0) != 1 || recv(l->peer, &byte, 1, 0) != 1)
                                abort();
                double trip = (double)(now_monotonic() - begin) / ECHOES;
                best = i == 0 || trip < best ? trip : best;
        }
        return best;
}

static double set_time(HoldBackend backend, Connection **list, size_t n) {
        double best = 0;

        for (size_t i = 0; i < REPEATS; i++) {
                uint64_t begin = now_monotonic();
                int r = hold_set(backend, HELD(list, n), NULL);

                if (r < 0) {
                        fprintf(stderr, "%s\n", err_text(r));
                        exit(77);
                }
                double ms = (double)(now_monotonic() - begin) / 1000;
                best = i == 0 || ms < best ? ms : best;
        }
        return best;
}

static void bench(void **state) {
        static const size_t sizes[] = {1, 100, 1000, 10000};
        World w;
        Line l;

        if (world_make(&w) != 0)
                skip();
        line_open(&w, FLAVOUR_V4, &l);
        printf("%-10s %12s %14s %14s %10s\n", "backend", "connections", "hold_set [ms]", "round trip [us]",
               "ratio");
        double bare = round_trip(&l);
        printf("%-10s %12s %14s %14.2f %10s\n", "none", "", "", bare, "1.00");
        for (HoldBackend b = HOLD_IPTABLES; b <= HOLD_NFTABLES; b++)
                for (size_t i = 0; i < ELEMENTS(sizes); i++) {
                        Connection **list = connections_invent(sizes[i]);
                        double set = set_time(b, list, sizes[i]), trip = round_trip(&l);

                        printf("%-10s %12zu %14.2f %14.2f %10.2f\n", hold_backend_text(b), sizes[i], set,
                               trip, trip / bare);
                        if (hold_clear() < 0)
                                abort();
                        connections_free(list, sizes[i]);
                }
        line_close(&l);
        world_end(&w);
}

int main(void) {
        const struct CMUnitTest tests[] = {cmocka_unit_test(bench)};

        return cmocka_run_group_tests_name("hold costs", tests, NULL, NULL);
}

/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/* Tests of the hold: each in a world of its own, for each backend and flavour. */

#include "world.h"

#include "base/text.h"
#include "netfilter/hold.h"

#include <setjmp.h>
#include <stdarg.h>
#include <unistd.h>

#include <cmocka.h>

typedef struct Case {
        HoldBackend backend;
        Flavour flavour;
        World world;
} Case;

typedef struct Suite {
        struct CMUnitTest tests[64];
        Case cases[64];
        size_t n;
} Suite;

static int suite_setup(void **state) {
        Case *c = *state;

        return world_make(&c->world) == 0 ? 0 : -1;
}

static int suite_teardown(void **state) {
        Case *c = *state;

        world_end(&c->world);
        return 0;
}

static void suite_add(Suite *s, const char *name, CMUnitTestFunction f, HoldBackend backend,
                      Flavour flavour) {
        assert_true(s->n < ELEMENTS(s->tests));
        s->cases[s->n] = (Case){.backend = backend, .flavour = flavour};
        s->tests[s->n] = (struct CMUnitTest){
                        .name = text_format("%s %s: %s", hold_backend_text(backend), flavour_text(flavour),
                                            name),
                        .test_func = f,
                        .setup_func = suite_setup,
                        .teardown_func = suite_teardown,
                        .initial_state = &s->cases[s->n],
        };
        s->n++;
}

/* What main() is to end with, or 0: go on. A pattern as the only argument chooses: "nftables*guard*". */
static int suite_begin(int argc, char **argv) {
        if (argc > 1)
                cmocka_set_test_filter(argv[1]);
        if (geteuid() == 0)
                return 0;
        print_message("SKIP: every test: needs root\n");
        return 77;
}

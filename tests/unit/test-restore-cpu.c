/* SPDX-License-Identifier: GPL-2.0-or-later */

/* What a tree is told of the processor that it comes back on. */

#include "base/cleanup.h"
#include "restore/restore.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

/* What each processor of this kind has, by definition. */
#ifdef __aarch64__
#define FIRST  "fp"
#define SECOND "asimd"
#else
#define FIRST  "sse"
#define SECOND "sse2"
#endif

static void test_compare(void **state) {
        _cleanup_(tree_freep) Tree *tree = model_new(Tree, tree__init);
        Ticket ticket = TICKET__INIT;

        assert_non_null(tree);
        ticket.trees = &tree;
        ticket.n_trees = 1;
        assert_int_equal(restore_compare_cpu(&ticket), 0); /* of an older carryover */
        ticket.instructions = (char *)FIRST " " SECOND;
        assert_int_equal(restore_compare_cpu(&ticket), 0);
        assert_int_equal(tree->n_degraded, 0);
        ticket.instructions = (char *)FIRST " avx9999 " SECOND;
        assert_int_equal(restore_compare_cpu(&ticket), 0);
        assert_int_equal(tree->n_degraded, 1);
        assert_string_equal(tree->degraded[0]->what, "processor");
        assert_non_null(strstr(tree->degraded[0]->text, "lacks avx9999;"));
}

int main(void) {
        const struct CMUnitTest tests[] = {
                        cmocka_unit_test(test_compare),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}

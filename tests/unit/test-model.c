/* SPDX-License-Identifier: GPL-2.0-or-later */

/* Which tree's restore waits for which. */

#include "model/model.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>

#include <cmocka.h>

static void add_tree(Ticket *t, uint32_t master, const char *terminal) {
        Tree *tree = model_new(Tree, tree__init);

        assert_non_null(tree);
        assert_int_equal(model_append(tree->ptys, tree->n_ptys, master), 0);
        if (terminal) {
                External *e = model_new(External, external__init);

                assert_non_null(e);
                e->kind = EXTERNAL__KIND__TTY;
                assert_int_equal(model_set_string(&e->path, terminal), 0);
                assert_int_equal(model_append(tree->externals, tree->n_externals, e), 0);
        }
        assert_int_equal(model_append(t->trees, t->n_trees, tree), 0);
}

static void test_waits(void **state) {
        _cleanup_(ticket_freep) Ticket *t = model_new(Ticket, ticket__init);

        assert_non_null(t);
        add_tree(t, 10, "/dev/pts/1"); /* a job of the next one's */
        add_tree(t, 1, NULL);
        assert_true(ticket_waits(t, 0, 1));
        assert_false(ticket_waits(t, 1, 0));
        assert_false(ticket_waits(t, 0, 0));

        /* each has the other's: one must go first, or both would wait for ever */
        add_tree(t, 2, "/dev/pts/3");
        add_tree(t, 3, "/dev/pts/2");
        assert_false(ticket_waits(t, 2, 3));
        assert_true(ticket_waits(t, 3, 2));
        assert_false(ticket_waits(t, 3, 1));
}

int main(void) {
        const struct CMUnitTest tests[] = {
                        cmocka_unit_test(test_waits),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}

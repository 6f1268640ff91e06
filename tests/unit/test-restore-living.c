/* SPDX-License-Identifier: GPL-2.0-or-later */

/* Which process is one of a tree that may run already. */

#include "restore/living.h"

#include "base/cleanup.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>

#include <cmocka.h>

#define SCOPE "/user.slice/user-0.slice/session-4.scope"

static Tree *sample(void) {
        Tree *tree = model_new(Tree, tree__init);
        Session *session = model_new(Session, session__init);

        assert_true(tree && session);
        assert_int_equal(model_set_string(&tree->name, "session-4") | model_set_string(&session->id, "4") |
                                         model_set_string(&session->scope, "session-4.scope"),
                         0);
        tree->session = session;
        assert_int_equal(model_append(tree->pids, tree->n_pids, 20310u), 0);
        assert_int_equal(model_append(tree->pids, tree->n_pids, 20317u), 0);
        return tree;
}

static void test_living(void **state) {
        _cleanup_(tree_freep) Tree *tree = sample();
        static const char host[] = "Name:\tbash\nState:\tS (sleeping)\nNSpid:\t20317\nNSsid:\t1\n",
                          inside[] = "Name:\tbash\nState:\tS (sleeping)\nNSpid:\t811\t20317\nNSsid:\t1\t1\n",
                          init[] = "Name:\tcarryover-init\nState:\tS (sleeping)\nNSpid:\t810\t1\n",
                          taken[] = "Name:\tbash\nState:\tS (sleeping)\nNSpid:\t20317\t5\n",
                          other[] = "Name:\tbash\nState:\tS (sleeping)\nNSpid:\t20400\n",
                          dead[] = "Name:\tbash\nState:\tZ (zombie)\nNSpid:\t20317\n";

        assert_true(living_is_of(tree, SCOPE, host));
        assert_true(living_is_of(tree, SCOPE, inside));
        assert_true(living_is_of(tree, "/user.slice/user-0.slice/carryover-session-4.scope", host));
        assert_false(living_is_of(tree, SCOPE, init));
        assert_false(living_is_of(tree, SCOPE, taken)); /* what counts is the number that it knows */
        assert_false(living_is_of(tree, SCOPE, other)); /* begun in the same session since */
        assert_false(living_is_of(tree, SCOPE, dead));
        assert_false(living_is_of(tree, SCOPE, "Name:\tbash\n"));
        assert_false(living_is_of(tree, "/user.slice/user-0.slice/session-5.scope", host));
}

int main(void) {
        const struct CMUnitTest tests[] = {
                        cmocka_unit_test(test_living),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: GPL-2.0-or-later */

/* Whose a tree is, from the selection to the ticket; the address sanitizer counts them. */

#include "model/candidate.h"

#include "tests/unit/ticket.h"

#include <string.h>

#define N 3

/* Each named by its place. */
static void make(Candidates *c) {
        for (unsigned i = 0; i < N; i++) {
                char name[] = {(char)('0' + i), '\0'};
                Tree *tree = model_new(Tree, tree__init);

                assert_non_null(tree);
                assert_int_equal(model_set_string(&tree->name, name), 0);
                assert_int_equal(candidates_add(c, tree), 0);
                assert_int_equal(c->n, i + 1);
                c->items[i].limit.bytes = i;
        }
}

static void has(const Candidates *c, const char *names) {
        assert_int_equal(c->n, strlen(names));
        for (size_t i = 0; i < c->n; i++) {
                assert_int_equal(c->items[i].tree->name[0], names[i]);
                assert_int_equal(c->items[i].limit.bytes, names[i] - '0');
        }
}

static void test_none(void **state) {
        _cleanup_(ticket_freep) Ticket *ticket = sample_ticket("aa");
        Candidates c = {0};
        char *why = NULL;

        candidates_done(&c);
        assert_null(candidates_trees(&c));
        assert_false(candidates_refused(&c, &why));
        assert_null(why);
        (void)sample_tree(ticket, "old", 7);
        assert_int_equal(candidates_give(&c, ticket), 0);
        assert_int_equal(ticket->n_trees, 0);
        candidates_done(&c);
}

/* What is known of a tree goes where it goes. */
static void test_remove(void **state) {
        _cleanup_(candidates_done) Candidates c = {0};

        make(&c);
        assert_int_equal(verdict_add(&c.items[1].verdict, VERDICT_REFUSED, "gone", NULL, "it has ended"), 0);
        assert_true(verdict_has(&c.items[1].verdict, "gone"));
        assert_false(verdict_has(&c.items[1].verdict, "gon"));
        assert_false(verdict_has(&c.items[0].verdict, "gone"));
        candidates_remove(&c, 1);
        has(&c, "02");
        candidates_remove(&c, 1);
        has(&c, "0");
        candidates_remove(&c, 0);
        has(&c, "");
}

static void test_give(void **state) {
        _cleanup_(ticket_freep) Ticket *ticket = sample_ticket("aa");
        Candidates c = {0};

        (void)sample_tree(ticket, "old", 7);
        make(&c);
        assert_int_equal(candidates_give(&c, ticket), 0);
        assert_int_equal(ticket->n_trees, N);
        for (size_t i = 0; i < N; i++)
                assert_ptr_equal(ticket->trees[i], c.items[i].tree);
        candidates_done(&c);
        assert_string_equal(ticket->trees[2]->name, "2"); /* it lives */
        assert_int_equal(c.n, 0);
}

static void refused(const Candidates *c, const char *expected) {
        _cleanup_(freep) char *why = NULL;

        assert_true(candidates_refused(c, &why));
        assert_string_equal(why, expected);
}

/* They stay, and a second look finds nothing of the first. */
static void test_forget(void **state) {
        _cleanup_(candidates_done) Candidates c = {0};

        make(&c);
        assert_int_equal(verdict_add(&c.machine, VERDICT_REFUSED, "x", NULL, "no room"), 0);
        assert_int_equal(verdict_add(&c.items[1].verdict, VERDICT_REFUSED, "x", NULL, "no way"), 0);
        c.items[1].needs.names = 5;
        c.judged = true;
        candidates_forget(&c);
        assert_int_equal(c.n, N);
        assert_false(c.judged);
        assert_int_equal(c.machine.level + c.machine.n_notes, 0);
        assert_int_equal(c.items[1].verdict.level + c.items[1].verdict.n_notes, 0);
        assert_int_equal(c.items[1].needs.names + c.items[1].limit.bytes, 0);
        assert_string_equal(c.items[1].tree->name, "1");
}

/* The machine's refusal is the one that its administrator can do something about first. */
static void test_refused(void **state) {
        _cleanup_(candidates_done) Candidates c = {0};
        Verdict *last;
        char *why = NULL;

        make(&c);
        last = &c.items[2].verdict;
        assert_int_equal(verdict_add(&c.items[0].verdict, VERDICT_DEGRADED, "x", "y", "a loss"), 0);
        assert_false(candidates_refused(&c, &why));
        assert_null(why);
        assert_int_equal(verdict_add(last, VERDICT_DEGRADED, "x", "y", "a loss"), 0);
        assert_int_equal(verdict_add(last, VERDICT_REFUSED, "x", "end it", "no way"), 0);
        refused(&c, "no way; end it");
        assert_int_equal(verdict_add(&c.machine, VERDICT_REFUSED, "x", NULL, "no room"), 0);
        refused(&c, "no room");
}

int main(void) {
        const struct CMUnitTest tests[] = {
                        cmocka_unit_test(test_none),    cmocka_unit_test(test_remove),
                        cmocka_unit_test(test_give),    cmocka_unit_test(test_forget),
                        cmocka_unit_test(test_refused),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}

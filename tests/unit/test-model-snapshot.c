/* SPDX-License-Identifier: GPL-2.0-or-later */

/* Trees among as many processes as a machine may have. */

#include "base/cleanup.h"
#include "model/snapshot.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <time.h>

#include <cmocka.h>

#define MANY 40000u

/* The first half is one line of descendants, the second the children of process 1; from the last to the
 * first. */
static Snapshot *many(void) {
        Snapshot *s = calloc(1, sizeof *s);

        assert_non_null(s);
        s->processes = calloc(MANY, sizeof *s->processes);
        assert_non_null(s->processes);
        s->n_processes = MANY;
        for (size_t i = 0; i < MANY; i++) {
                pid_t pid = (pid_t)(MANY - i);

                s->processes[i].pid = pid;
                s->processes[i].ppid = (unsigned)pid > MANY / 2 ? 1 : pid - 1;
        }
        return s;
}

static size_t tree_of(const Snapshot *s, pid_t root) {
        _cleanup_(freep) const SnapProcess **tree = NULL;
        size_t n;

        assert_int_equal(snapshot_tree(s, root, &tree, &n), 0);
        assert_int_equal(tree[0]->pid, root);
        return n;
}

static void test_many(void **state) {
        _cleanup_(snapshot_freep) Snapshot *s = many();
        clock_t begin;

        snapshot_sort(s);
        begin = clock();
        for (int i = 0; i < 50; i++) {
                assert_int_equal(tree_of(s, 1), MANY);
                assert_int_equal(tree_of(s, MANY / 4), MANY / 4 + 1);
                assert_int_equal(tree_of(s, MANY), 1);
        }
        assert_true(clock() - begin < 2 * CLOCKS_PER_SEC);
}

/* As a race may show it: parents in a circle, one that is its own, one that is not there. */
static void test_odd_parents(void **state) {
        _cleanup_(snapshot_freep) Snapshot *s = calloc(1, sizeof *s);
        static const pid_t pairs[][2] = {{10, 12}, {11, 10}, {12, 11}, {20, 20}, {21, 20}, {30, 29}};

        s->processes = calloc(6, sizeof *s->processes);
        s->n_processes = 6;
        for (size_t i = 0; i < 6; i++) {
                s->processes[i].pid = pairs[i][0];
                s->processes[i].ppid = pairs[i][1];
        }
        for (int sorted = 0; sorted < 2; sorted++) {
                assert_int_equal(tree_of(s, 10), 3);
                assert_int_equal(tree_of(s, 12), 3);
                assert_int_equal(tree_of(s, 20), 2);
                assert_int_equal(tree_of(s, 30), 1);
                snapshot_sort(s);
        }
}

int main(void) {
        const struct CMUnitTest tests[] = {
                        cmocka_unit_test(test_many),
                        cmocka_unit_test(test_odd_parents),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: GPL-2.0-or-later */

/* What a restore that is started again knows of what an earlier start has done. Needs root: /run is replaced
 * by a tmpfs in a mount namespace of the test's own. */

#include "base/cleanup.h"
#include "base/fd.h"
#include "base/text.h"
#include "flow/aftermath.h"
#include "flow/restoring.h"
#include "model/model.h"
#include "restore/restore.h"
#include "tests/unit/own-run.h"
#include "tests/unit/ticket.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

static Ticket *sample(void) {
        Ticket *t = sample_ticket("aa");

        (void)sample_tree(t, "session-4", 1234);
        return t;
}

static Restoring fresh(Ticket *ticket) {
        static int n;
        Restoring x = {.store.fd = -1, .ticket = ticket};

        snprintf(x.config.store, sizeof x.config.store, "/run/test-flow-outcome-%d", n++);
        assert_int_equal(store_open(&x.config, &x.store), 0);
        return x;
}

/* As running_note() does, of a process that is not there any more. */
static void note_running(const Tree *tree, int images_fd) {
        Outcome outcome = OUTCOME__INIT;
        Tree copy = *tree;

        outcome.state = OUTCOME__STATE__CARRIED;
        outcome.has_root_pid = true;
        outcome.root_pid = PID_MAX - 1;
        outcome.mode = (char *)"host";
        copy.outcome = &outcome;
        assert_int_equal(store_tree_runs(images_fd, &copy), 0);
}

/* It ran when the machine went down, with no more noted than that: it was carried, and is not lost. */
static void test_was_back(void **state) {
        _cleanup_(ticket_freep) Ticket *t = sample();
        Restoring x = fresh(t);
        _cleanup_(closep) int fd = store_tree_create(&x.store, "session-4");
        _cleanup_(tree_freep) Tree *back = NULL;

        assert_int_equal(store_tree_begin(fd), 0);
        note_running(t->trees[0], fd);
        assert_int_equal(restoring_outcomes(&x), 0);
        assert_int_equal(t->trees[0]->outcome->state, OUTCOME__STATE__CARRIED);
        assert_int_equal(store_tree_outcome(&x.store, "aa", "session-4", &back), 0);
        store_close(&x.store);
}

/* Whoever finds it running, also the one that gives up, notes it as carried. */
static void test_is_carried(void **state) {
        _cleanup_(ticket_freep) Ticket *t = sample();
        Restoring x = fresh(t);
        _cleanup_(closep) int fd = store_tree_create(&x.store, "session-4");
        _cleanup_(tree_freep) Tree *back = NULL;

        assert_true(fd >= 0);
        assert_int_equal(restoring_outcomes(&x), 0);
        assert_true(restoring_is_pending(t->trees[0]));
        restoring_carried(&x, t->trees[0]);
        assert_false(restoring_is_pending(t->trees[0])); /* or it would be given up behind this */
        assert_int_equal(store_tree_outcome(&x.store, "aa", "session-4", &back), 0);
        assert_int_equal(back->outcome->state, OUTCOME__STATE__CARRIED);
        store_close(&x.store);
}

/* It had begun, and nothing more is known. */
static void test_had_begun(void **state) {
        _cleanup_(ticket_freep) Ticket *t = sample();
        Restoring x = fresh(t);
        _cleanup_(closep) int fd = store_tree_create(&x.store, "session-4");

        assert_int_equal(store_tree_begin(fd), 0);
        assert_int_equal(restoring_outcomes(&x), 0);
        assert_true(restoring_is_pending(t->trees[0])); /* which its restore then finds out */
        store_close(&x.store);
}

/* A save died with its boot, while an older one waited: its trees are said with the report of that one. */
static void test_died_over_what_waited(void **state) {
        _cleanup_(ticket_freep) Ticket *t = sample(), *died = sample();
        Restoring x = fresh(t);
        _cleanup_(closep) int fd = store_tree_create(&x.store, "session-9");

        assert_true(fd >= 0);
        assert_int_equal(model_set_string(&died->trees[0]->name, "session-9"), 0);
        assert_int_equal(store_saving_begin(&x.store, died), 0);
        aftermath_of_ticket(&x.store, t);
        assert_int_equal(t->n_trees, 1); /* it is the save that sealed this ticket */

        assert_int_equal(model_set_string(&died->id, "bb"), 0);
        assert_int_equal(store_saving_begin(&x.store, died), 0);
        for (int i = 0; i < 2; i++) { /* a restore that is started again */
                aftermath_of_ticket(&x.store, t);
                assert_int_equal(t->n_trees, 2);
        }
        assert_true(restoring_is_pending(t->trees[0]) || !t->trees[0]->outcome);
        assert_string_equal(t->trees[1]->name, "session-9");
        assert_int_equal(t->trees[1]->outcome->state, OUTCOME__STATE__FAILED);
        assert_non_null(strstr(t->trees[1]->outcome->reason, "before the save was complete"));
        assert_int_equal(store_tree_open(&x.store, "session-9"), -ENOENT);
        store_close(&x.store);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                        cmocka_unit_test(test_was_back),
                        cmocka_unit_test(test_is_carried),
                        cmocka_unit_test(test_had_begun),
                        cmocka_unit_test(test_died_over_what_waited),
        };

        int r = own_run();

        return r ?: cmocka_run_group_tests(tests, NULL, NULL);
}

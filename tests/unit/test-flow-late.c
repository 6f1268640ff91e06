/* SPDX-License-Identifier: GPL-2.0-or-later */

/* A tree whose save does not come to its end. The saves themselves are made up: this file takes the place of
 * save/save.c. */

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/err.h"
#include "flow/saving.h"
#include "tests/unit/ticket.h"

#include <semaphore.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static sem_t let_go, told;
static int late_answer, early_answer;

int save_tree(const SaveJob *job, Tree *tree) {
        bool late = strcmp(tree->name, "late") == 0;
        int r;

        while (late && sem_wait(&let_go) < 0)
                ;
        r = job->ready(tree, job->userdata);
        if (late)
                late_answer = r;
        else
                early_answer = r;
        if (late)
                sem_post(&told);
        return r;
}

int save_mend(const Store *store, const Tree *tree, Sweep *sweep) {
        return 0;
}

/* `carryover reboot` without --force: one is left, so nothing is saved and everybody goes on. */
static void test_late(void **state) {
        static Saving s = SAVING_INIT; /* the thread has it for longer than we do */
        Request request = REQUEST__INIT;
        static Candidate own[2];
        const Tree *worked_on;
        uint64_t begin;

        assert_int_equal(sem_init(&let_go, 0, 0), 0);
        assert_int_equal(sem_init(&told, 0, 0), 0);
        s.ticket = sample_ticket("aa");
        s.request = &request;
        own[0].tree = sample_tree(s.ticket, "early", 1);
        own[1].tree = sample_tree(s.ticket, "late", 2);
        s.own.items = own;
        s.n_own = 2;
        worked_on = s.ticket->trees[1];
        begin = now_monotonic();
        s.deadline = begin + 300 * USEC_PER_MSEC;
        assert_int_equal(saving_trees(&s), -ECANCELED);
        assert_true(now_monotonic() - begin >= 300 * USEC_PER_MSEC);
        assert_int_equal(early_answer, -ECANCELED);
        assert_null(s.ticket->trees[0]->outcome);
        assert_int_equal(s.n_late, 1);
        assert_true(s.ticket->trees[1] != worked_on); /* nobody writes into what is sealed */
        assert_int_equal(s.ticket->trees[1]->outcome->state, OUTCOME__STATE__LEFT);
        assert_non_null(strstr(s.ticket->trees[1]->outcome->reason, "the others were saved without it"));

        assert_int_equal(sem_post(&let_go), 0);
        assert_int_equal(sem_wait(&told), 0);
        assert_int_equal(late_answer, -ETIMEDOUT); /* whenever it comes: it is not allowed to die */
}

int main(void) {
        const struct CMUnitTest tests[] = {
                        cmocka_unit_test(test_late),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}

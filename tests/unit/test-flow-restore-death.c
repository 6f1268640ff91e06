/* SPDX-License-Identifier: GPL-2.0-or-later */

/*
 * A restore that dies, or fails, at each thing that it asks of the machine, of its store and of its disk,
 * one after the other; then the next start, in the same boot or in the next one. What docs/RELIABILITY.md
 * promises is true each time. Needs root, as test-flow-restore.c.
 */

#include "tests/unit/sealed.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

#define STEPS_MAX 512u

typedef struct Point {
        char event[96];
        unsigned nth;
} Point;

/* All that a restore without a fault asks for. */
static Point points[STEPS_MAX];
static size_t n_points;

static const Point *at; /* for whoever looks for the cause of a failure */

/* How far each tree had come when the restore died. */
typedef struct Before {
        bool begun[2], runs[2], done[2];
} Before;

static void learn(void) {
        sealed_two();
        fake->hold = true; /* of the initramfs */
        assert_int_equal(fake_run(run_restore, NULL), 0);
        for (size_t i = 0; fake_event(i); i++) {
                Point *p = points + n_points++;

                assert_true(n_points <= STEPS_MAX);
                snprintf(p->event, sizeof p->event, "%s", fake_event(i));
                p->nth = 1;
                for (size_t j = 0; j + 1 < n_points; j++)
                        p->nth += strcmp(points[j].event, p->event) == 0;
        }
}

static bool is_noted(size_t i, const char *note) {
        char name[96];

        snprintf(name, sizeof name, "save/%s/%s", fake->trees[i].name, note);
        return in_store(name);
}

static Before look(void) {
        Before b;

        for (size_t i = 0; i < 2; i++) {
                b.begun[i] = is_noted(i, "begun") || in_store("report");
                b.runs[i] = is_noted(i, "runs");
                b.done[i] = is_noted(i, "done") || in_store("report");
        }
        return b;
}

static unsigned restores_of(const FakeTree *t) {
        char event[96];

        snprintf(event, sizeof event, "criu_restore %s", t->name);
        return (unsigned)fake_count(event);
}

/* Of each tree: never twice; what had not begun is back; what is not back has its images and is said. */
static void check_tree(const Ticket *report, size_t i, const Before *before, bool rebooted) {
        const FakeTree *t = fake->trees + i;
        Outcome__State state = outcome_of(report, t->pid);

        assert_true(t->returned <= 1);
        assert_true(restores_of(t) <= 1);
        if (!before->begun[i])
                assert_int_equal(t->returned, 1);
        if (t->life == FAKE_RUNS || before->runs[i])
                assert_int_equal(state, OUTCOME__STATE__CARRIED);
        else if (!before->done[i])
                assert_int_equal(state, OUTCOME__STATE__LOST);
        if (state != OUTCOME__STATE__CARRIED)
                assert_true(images_are_kept(report, t->pid));
        if (t->returned == 1 && !rebooted)
                assert_int_equal(t->life, FAKE_RUNS);
}

static void check_end(const Before *before, bool rebooted) {
        _cleanup_(ticket_freep) Ticket *report = sealed_report();
        size_t not_back = 0;

        for (size_t i = 0; i < 2; i++) {
                check_tree(report, i, before, rebooted);
                not_back += outcome_of(report, fake->trees[i].pid) != OUTCOME__STATE__CARRIED;
        }
        assert_true(fake_count("nudge_dismiss 1") >= not_back);
        assert_false(in_store("ticket"));
        assert_false(in_store("ticket.claimed"));
        assert_false(fake->hold);
        assert_false(fake->guard_left);
        assert_int_equal(fake->pool, 0);
        is_on_disk();
}

static void die_at(const Point *p, bool rebooted) {
        Before before;

        sealed_two();
        fake->hold = true; /* of the initramfs */
        fake_die(p->event, p->nth);
        assert_int_equal(fake_run(run_restore, NULL), FAKE_DEAD);
        before = look();
        fake_heal();
        if (rebooted)
                fake_reboot();
        (void)fake_run(run_restore, NULL);
        check_end(&before, rebooted);
}

static void die_at_each(bool rebooted) {
        for (size_t i = 0; i < n_points; i++)
                die_at(at = points + i, rebooted);
}

static void test_next_start(void **state) {
        die_at_each(false);
}

static void test_next_boot(void **state) {
        die_at_each(true);
}

/* A restore that goes on behind an error, and where it could not, the next start. Nobody is left silent or
 * unsaid, and nothing comes twice. */
static void fail_at(const Point *p) {
        _cleanup_(ticket_freep) Ticket *report = NULL;
        bool hold_stays = strcmp(p->event, "hold_clear") == 0 || strcmp(p->event, "hold_guard_end") == 0;

        sealed_two();
        fake->hold = true;
        fake_fail(p->event, p->nth, -EIO);
        (void)fake_run(run_restore, NULL);
        fake_heal();
        if (in_store("ticket") || in_store("ticket.claimed") || fake->pool > 0)
                (void)fake_run(run_restore, NULL);
        report = sealed_report();
        for (size_t i = 0; i < 2; i++) {
                const FakeTree *t = fake->trees + i;
                Outcome__State state = outcome_of(report, t->pid);

                assert_true(t->returned <= 1);
                assert_int_equal(t->life == FAKE_RUNS, state == OUTCOME__STATE__CARRIED);
                assert_true(state != OUTCOME__STATE__PENDING);
                if (state != OUTCOME__STATE__CARRIED)
                        assert_true(images_are_kept(report, t->pid));
        }
        assert_false(in_store("ticket"));
        assert_false(in_store("ticket.claimed"));
        assert_true(!fake->hold || hold_stays);
        assert_int_equal(fake->pool, 0);
}

static void test_errors(void **state) {
        for (size_t i = 0; i < n_points; i++)
                fail_at(at = points + i);
}

static int say_where(void **state) {
        print_message("the last point: %s (%u)\n", at->event, at->nth);
        return 0;
}

int main(void) {
        const struct CMUnitTest tests[] = {
                        cmocka_unit_test_teardown(test_next_start, say_where),
                        cmocka_unit_test_teardown(test_next_boot, say_where),
                        cmocka_unit_test_teardown(test_errors, say_where),
        };

        int r = own_machine();

        if (r == 0)
                learn();
        return r ?: cmocka_run_group_tests(tests, NULL, NULL);
}

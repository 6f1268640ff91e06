/* SPDX-License-Identifier: GPL-2.0-or-later */

/*
 * A save that dies, or is told no, at each call that it makes, one after the other: what docs/RELIABILITY.md
 * promises is true when its ExecStopPost has put things in order, and when the power has gone instead.
 */

#include "tests/unit/programs.h"
#include "tests/unit/promise.h"

#define FIRST 4000001

static int run_aftermath(void *userdata) {
        (void)userdata;
        return flow_save_aftermath();
}

static void request(const char *action) {
        Request r = REQUEST__INIT;

        r.action = (char *)action;
        r.pid = 1;
        r.realtime = 4711;
        assert_int_equal(run_request_write(&r), 0);
}

static bool requested;

/* With one tree all happens in one order. */
static void machine(size_t trees) {
        (void)fresh_machine(NULL);
        for (size_t i = 0; i < trees; i++)
                (void)fake_add_tree(FIRST + (pid_t)i);
        fake_keep();
        strcpy(fake->shutdown, "kexec");
        if (requested)
                request("kexec");
}

/* In the same boot, behind a save that died. */
static void check_here(bool noted) {
        _cleanup_(ticket_freep) Ticket *sealed = NULL;
        int r = fake_run(run_aftermath, NULL);

        if (!noted) { /* it had touched nothing, or had come to its end */
                assert_int_equal(r, 0);
                return;
        }
        sealed = promise_sealed();
        promise_one_life(sealed);
        assert_false(promise_noted());
        if (!sealed) {
                assert_int_equal(r, 1);
                promise_stopped(requested);
                return;
        }
        assert_true(fake->hold);
        assert_int_equal(fake_count("bus_cancel_shutdown"), requested && r == 1);
}

/* The power goes where the save died. */
static void check_next_boot(bool noted) {
        _cleanup_(ticket_freep) Ticket *sealed = promise_sealed(), *report = NULL;

        fake_reboot();
        (void)fake_run(run_next_boot, NULL);
        report = promise_report();
        for (size_t i = 0; i < fake->n_trees; i++) {
                const FakeTree *t = fake->trees + i;
                const Tree *told = report ? ticket_find(report, t->name) : NULL;

                if (promise_brings(sealed, t) != (t->life == FAKE_RUNS && t->returned == 1))
                        fail_msg("%s is%s sealed, and is%s back: %s (%s)", t->name,
                                 promise_brings(sealed, t) ? "" : " not", t->life == FAKE_RUNS ? "" : " not",
                                 told && told->outcome->reason ? told->outcome->reason : "not said",
                                 fake_struck_event());
                if (!noted && !sealed)
                        continue;
                assert_non_null(told);
                assert_int_equal(told->outcome->state,
                                 t->life == FAKE_RUNS ? OUTCOME__STATE__CARRIED : OUTCOME__STATE__FAILED);
        }
        assert_false(fake->hold || fake->guard_left || promise_noted());
}

typedef void (*Check)(bool noted);

/* Dies at the first call, the second ... until it does not die any more. */
static void die_everywhere(size_t trees, Check check) {
        unsigned n = 0;

        for (;;) {
                machine(trees);
                fake_die("", ++n);
                if (fake_run(run_save, NULL) != FAKE_DEAD)
                        break;
                fake_forget_events();
                check(promise_noted());
        }
        assert_true(n > 80);
}

static void test_die_here(void **state) {
        (void)state;
        requested = false;
        die_everywhere(1, check_here);
}

static void test_die_here_requested(void **state) {
        (void)state;
        requested = true;
        die_everywhere(1, check_here);
        requested = false;
}

static void test_die_with_the_machine(void **state) {
        (void)state;
        die_everywhere(1, check_next_boot);
}

static void check_error(int r) {
        _cleanup_(ticket_freep) Ticket *sealed = promise_sealed();

        promise_one_life(sealed);
        if (sealed) {
                assert_int_equal(r, 0);
                assert_true(fake->hold);
                assert_int_equal(fake->n_held, 1);
                if (!fake->loaded)
                        assert_true(fake_count("report_event jump-failed") == 1 &&
                                    fake->cancelled == requested);
        } else if (fake_count("fault_point save:noted") > 0) {
                assert_int_equal(r, 1);
                promise_stopped(requested);
        } else if (fake_count("store_saving_begin") == 0) { /* not begun: there may be no store */
                assert_int_equal(fake_count("criu_dump"), 0);
                assert_false(fake->hold);
        }
}

/* Each call is told no once. */
static void fail_everywhere(void) {
        unsigned n = 0;

        for (;;) {
                int r;

                machine(1);
                fake_fail("", ++n, -EIO);
                r = fake_run(run_save, NULL);
                if (!fake_struck())
                        break;
                check_error(r);
        }
        assert_true(n > 80);
}

static void test_fail(void **state) {
        (void)state;
        fail_everywhere();
}

static void test_fail_requested(void **state) {
        (void)state;
        requested = true;
        fail_everywhere();
        requested = false;
}

/* Two trees, at the named points: one may be through with its part, and the other not. */
static void test_points(void **state) {
        static const char *const points[] = {
                        "fault_point save:noted",       "fault_point save:begun",
                        "fault_point save:after-hold",  "fault_point save:before-freeze",
                        "fault_point save:after-dump",  "fault_point save:before-ready",
                        "fault_point save:before-seal", "fault_point seal:written",
                        "fault_point save:committed",   "fault_point jump:before-load",
                        "fault_point jump:loaded",      "criu_dump_end",
        };

        (void)state;
        for (size_t i = 0; i < ELEMENTS(points); i++)
                for (unsigned way = 0; way < 4; way++) {
                        machine(2);
                        fake_die(points[i], 1 + way % 2);
                        if (fake_run(run_save, NULL) != FAKE_DEAD) {
                                assert_true(way % 2 == 1); /* there may be no second one */
                                continue;
                        }
                        fake_forget_events();
                        (way < 2 ? check_here : check_next_boot)(promise_noted());
                }
}

int main(void) {
        const struct CMUnitTest tests[] = {
                        cmocka_unit_test(test_die_here), cmocka_unit_test(test_die_here_requested),
                        cmocka_unit_test(test_fail),     cmocka_unit_test(test_fail_requested),
                        cmocka_unit_test(test_points),   cmocka_unit_test(test_die_with_the_machine),
        };

        int r = own_machine();

        return r ?: cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: GPL-2.0-or-later */

/* A restart of user space alone: what is kept is saved and comes back, in the kernel that it was in. */

#include "report/report.h"
#include "tests/unit/programs.h"
#include "tests/unit/promise.h"

#define FIRST 4000001

static int set_up(void **state) {
        (void)fresh_machine(state);
        (void)fake_add_tree(FIRST);
        fake_keep();
        strcpy(fake->shutdown, "soft-reboot");
        return 0;
}

static void saved(void) {
        _cleanup_(ticket_freep) Ticket *t = NULL;

        assert_int_equal(fake_run(run_save, NULL), 0);
        t = promise_sealed();
        promise_one_life(t);
        assert_string_equal(t->action, "soft-reboot");
}

static Ticket *came_back(void) {
        assert_int_equal(fake_run(run_next_boot, NULL), 0);
        assert_int_equal(fake_tree(FIRST)->returned, 1);
        assert_false(fake->hold);
        return promise_report();
}

static void test_carried(void **state) {
        _cleanup_(ticket_freep) Ticket *report = NULL;

        (void)state;
        fake->soft_reboots = 2;
        saved();
        fake_soft_reboot();
        report = came_back();
        assert_int_equal(report_verdict(report), REPORT_CARRIED);
        assert_true(report_is_soft(report));
        assert_string_equal(report->new_kernel, FAKE_KERNEL);
}

static void test_called_off(void **state) {
        _cleanup_(ticket_freep) Ticket *report = NULL;

        (void)state;
        saved();
        fake->shutdown[0] = '\0';
        report = came_back();
        assert_int_equal(report_verdict(report), REPORT_STOPPED);
        assert_false(report_is_soft(report));
        assert_string_equal(report->stopped, "the shutdown was cancelled");
}

/* It hung behind the seal, and somebody has reset the machine. */
static void test_reset(void **state) {
        _cleanup_(ticket_freep) Ticket *report = NULL;

        (void)state;
        saved();
        fake_reboot();
        report = came_back();
        assert_int_equal(report_verdict(report), REPORT_CARRIED);
        assert_false(report_is_soft(report));
}

/* systemd before 256. */
static void test_nobody_counts(void **state) {
        _cleanup_(ticket_freep) Ticket *report = NULL;

        (void)state;
        fake->old_systemd = true;
        saved();
        fake_soft_reboot();
        report = came_back();
        assert_true(report_is_soft(report));
}

/* What cannot be asked costs nobody a session. */
static void test_pid1_is_silent(void **state) {
        for (unsigned nth = 1; nth <= 2; nth++) {
                _cleanup_(ticket_freep) Ticket *report = NULL;

                (void)set_up(state);
                fake_fail("bus_soft_reboots", nth, -EIO);
                saved();
                fake_soft_reboot();
                report = came_back();
                assert_true(fake_struck());
                assert_true(report_is_soft(report));
        }
}

int main(void) {
        const struct CMUnitTest tests[] = {
                        cmocka_unit_test_setup(test_carried, set_up),
                        cmocka_unit_test_setup(test_called_off, set_up),
                        cmocka_unit_test_setup(test_reset, set_up),
                        cmocka_unit_test_setup(test_nobody_counts, set_up),
                        cmocka_unit_test_setup(test_pid1_is_silent, set_up),
        };
        int r = own_machine();

        return r ?: cmocka_run_group_tests(tests, NULL, NULL);
}

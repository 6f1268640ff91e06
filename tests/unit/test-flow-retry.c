/* SPDX-License-Identifier: GPL-2.0-or-later */

/* `carryover restore` after a restore that could not bring back all: who may be tried again, and what is
 * left where the command dies or fails in the middle. Needs root, as test-flow-restore.c. */

#include "flow/flow.h"
#include "tests/fakes/clock.h"
#include "tests/unit/sealed.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

typedef struct Words {
        const char *name;
        bool force;
} Words;

/* systemd does what it was asked for while the command waits for the answer. */
static void while_it_waits(void) {
        if (strcmp(fake->started, RESTORE_UNIT) != 0)
                return;
        fake->started[0] = '\0';
        (void)flow_restore();
}

static int retry(void *userdata) {
        const Words *w = userdata;
        int status;

        fake_on_sleep = while_it_waits;
        status = flow_retry(w->name, w->force);
        durable_end();
        return status;
}

static int restore(void *userdata) {
        (void)userdata;
        return flow_restore();
}

static int ask(const char *name, bool force) {
        Words w = {name, force};

        fake_heal();
        fake_forget_events();
        return fake_run(retry, &w);
}

static bool is_carried(pid_t pid) {
        _cleanup_(ticket_freep) Ticket *report = sealed_report();

        return outcome_of(report, pid) == OUTCOME__STATE__CARRIED && fake_tree(pid)->returned == 1;
}

/* The first tree has failed, and the second is back. */
static void one_failed(void) {
        sealed_two();
        fake_fail("network_wait_patiently pid-4000001", 1, -ETIMEDOUT);
        assert_int_equal(fake_run(restore, NULL), 1);
        assert_true(is_carried(SECOND_PID));
        fake_heal();
}

static void test_comes_back(void **state) {
        _cleanup_(ticket_freep) Ticket *report = NULL;

        one_failed();
        assert_int_equal(ask("pid-4000001", false), 0);
        assert_true(is_carried(FIRST_PID));
        assert_true(is_carried(SECOND_PID));
        assert_true(is_before("bus_reset_unit", "bus_restart_unit"));
        report = sealed_report();
        assert_true(report->retry);
        assert_false(fake->hold);
        is_on_disk();
}

/* Without a name, the only one that there is. It fails again, and may be tried once more. */
static void test_fails_again(void **state) {
        Words w = {NULL, false};

        one_failed();
        fake_fail("network_wait_patiently pid-4000001", 1, -ETIMEDOUT);
        assert_int_equal(fake_run(retry, &w), 1);
        assert_false(is_carried(FIRST_PID));
        assert_true(is_carried(SECOND_PID));
        assert_int_equal(ask(NULL, false), 0);
        assert_true(is_carried(FIRST_PID));
}

/* What may have run already is restored by force only. */
static void test_lost(void **state) {
        sealed_two();
        fake_die("criu_restore pid-4000001", 1);
        assert_int_equal(fake_run(restore, NULL), FAKE_DEAD);
        fake_heal();
        fake_reboot();
        assert_int_equal(fake_run(restore, NULL), 1);
        assert_int_equal(ask("pid-4000001", false), 4);
        assert_int_equal(fake_count("store_tree_retry"), 0);
        assert_int_equal(fake_tree(FIRST_PID)->returned, 0);
        assert_int_equal(ask("pid-4000001", true), 0);
        assert_true(is_carried(FIRST_PID));
}

static void test_refused(void **state) {
        one_failed();
        assert_int_equal(ask("pid-4000002", false), 4); /* it runs */
        assert_int_equal(ask("pid-4000002", true), 4);
        assert_int_equal(ask("pid-9", false), 1);
        assert_int_equal(fake_count("store_tree_retry"), 0);
        assert_int_equal(ask("pid-4000001", false), 0);
        assert_int_equal(ask(NULL, false), 1); /* nothing waits any more */
        assert_int_equal(fake_tree(SECOND_PID)->returned, 1);
}

static void test_which_one(void **state) {
        sealed_two();
        fake_fail("bus_open_manager", 1, -EIO);
        assert_int_equal(fake_run(restore, NULL), 1);
        assert_int_equal(ask(NULL, false), 2);
        assert_int_equal(ask("pid-4000002", false), 0);
        assert_int_equal(fake_tree(FIRST_PID)->returned, 0);
        assert_true(is_carried(SECOND_PID));
        assert_int_equal(ask(NULL, false), 0);
        assert_true(is_carried(FIRST_PID));
}

static void test_no_save_yet(void **state) {
        (void)fresh_machine(NULL);
        assert_int_equal(ask(NULL, false), 1);
}

static void test_older_ticket_waits(void **state) {
        sealed_two();
        assert_int_equal(ask("pid-4000001", false), 1);
        assert_int_equal(fake_count("store_seal"), 0);
        assert_true(in_store("ticket"));
}

static void test_images_are_gone(void **state) {
        one_failed();
        assert_int_equal(file_remove_tree(AT_FDCWD, MACHINE_STORE "/failed/" SEALED_ID), 0);
        assert_int_equal(ask("pid-4000001", false), 1);
        assert_int_equal(fake_count("store_seal"), 0);
        assert_int_equal(fake_count("bus_restart_unit"), 0);
}

/* Two at once: the second touches nothing. */
static void test_one_at_a_time(void **state) {
        int lock;

        one_failed();
        lock = run_lock("retry");
        assert_true(lock >= 0);
        assert_int_equal(ask("pid-4000001", false), 1);
        assert_int_equal(fake_count("store_tree_retry"), 0);
        fd_close(lock);
}

/* Sealed, and systemd does not start the restore: the next boot's brings it back. */
static void test_not_started(void **state) {
        static const char *const steps[] = {"bus_open_manager", "bus_reset_unit", "bus_restart_unit"};

        for (size_t i = 0; i < ELEMENTS(steps); i++) {
                Words w = {"pid-4000001", false};

                one_failed();
                fake_fail(steps[i], 1, -EIO);
                assert_int_equal(fake_run(retry, &w), 1);
                assert_true(fake_struck());
                assert_true(in_store("ticket"));
                fake_heal();
                assert_int_equal(fake_run(restore, NULL), 0);
                assert_true(is_carried(FIRST_PID));
        }
}

/* Whatever the command came to: the next try, or the ticket that it has sealed, brings the tree back. */
static void is_not_lost(void) {
        fake_heal();
        if (in_store("ticket") || in_store("ticket.claimed"))
                (void)fake_run(restore, NULL);
        if (!is_carried(FIRST_PID))
                assert_int_equal(ask("pid-4000001", true), 0);
        assert_true(is_carried(FIRST_PID));
        assert_int_equal(fake_tree(SECOND_PID)->returned, 1);
}

static void test_dies_or_fails_at_each_step(void **state) {
        Words w = {"pid-4000001", false};
        char events[256][96];
        size_t n = 0;

        one_failed();
        assert_int_equal(ask(w.name, w.force), 0);
        for (; n < ELEMENTS(events) && fake_event(n) && strcmp(fake_event(n), "nanosleep") != 0; n++)
                snprintf(events[n], sizeof events[n], "%s", fake_event(n));
        assert_true(n > 10);
        for (size_t i = 0; i < n; i++) {
                unsigned nth = 1;

                for (size_t j = 0; j < i; j++)
                        nth += strcmp(events[i], events[j]) == 0;
                one_failed();
                fake_die(events[i], nth);
                assert_int_equal(fake_run(retry, &w), FAKE_DEAD);
                is_not_lost();
                one_failed();
                fake_fail(events[i], nth, -EIO);
                (void)fake_run(retry, &w);
                is_not_lost();
        }
}

static void test_off(void **state) {
        one_failed();
        boot_with("carryover=off");
        assert_int_equal(ask("pid-4000001", false), 1);
        assert_int_equal(fake_count("store_tree_retry"), 0);
        assert_int_equal(fake_run(restore, NULL), 0); /* likewise */
        assert_int_equal(fake_count("criu_restore"), 0);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                        cmocka_unit_test(test_comes_back),
                        cmocka_unit_test(test_fails_again),
                        cmocka_unit_test(test_lost),
                        cmocka_unit_test(test_refused),
                        cmocka_unit_test(test_which_one),
                        cmocka_unit_test(test_no_save_yet),
                        cmocka_unit_test(test_older_ticket_waits),
                        cmocka_unit_test(test_images_are_gone),
                        cmocka_unit_test(test_one_at_a_time),
                        cmocka_unit_test(test_not_started),
                        cmocka_unit_test(test_dies_or_fails_at_each_step),
                        cmocka_unit_test_teardown(test_off, boot_ends),
        };

        int r = own_machine();

        return r ?: cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: GPL-2.0-or-later */

/*
 * carryover-restore.service from the claim to the report, on the fake machine with a real store: what is
 * promised where each step succeeds, and where it fails. Needs root: /run and /etc are replaced by a tmpfs
 * in a mount namespace of the test's own.
 */

#include "early/early.h"
#include "store/history.h"
#include "tests/unit/sealed.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

static int give_up(void *userdata) {
        int status;

        (void)setenv("MONITOR_SERVICE_RESULT", userdata, 1);
        status = flow_give_up();
        durable_end();
        return status;
}

/* The end that every restore has: reported, and nothing is held or claimed. */
static void is_over(void) {
        assert_true(in_store("report"));
        assert_false(in_store("ticket"));
        assert_false(in_store("ticket.claimed"));
        assert_false(fake->hold);
        assert_false(fake->guard_left);
        is_on_disk();
}

static void is_carried(const Ticket *report, pid_t pid) {
        assert_int_equal(outcome_of(report, pid), OUTCOME__STATE__CARRIED);
        assert_int_equal(fake_tree(pid)->returned, 1);
        assert_int_equal(fake_tree(pid)->life, FAKE_RUNS);
}

/* Nothing of it ran, its images wait for `carryover restore`, its peer is told. */
static void is_failed(const Ticket *report, pid_t pid, const char *why) {
        const Tree *tree = ticket_find(report, fake_tree(pid)->name);

        assert_int_equal(outcome_of(report, pid), OUTCOME__STATE__FAILED);
        assert_int_equal(fake_tree(pid)->returned, 0);
        assert_true(images_are_kept(report, pid));
        assert_non_null(tree->outcome->reason);
        if (!strstr(tree->outcome->reason, why))
                fail_msg("\"%s\" does not tell of \"%s\"", tree->outcome->reason, why);
}

static void test_all_come_back(void **state) {
        _cleanup_(ticket_freep) Ticket *report = NULL;

        sealed_two();
        assert_int_equal(fake_run(run_restore, NULL), 0);
        is_over();
        report = sealed_report();
        is_carried(report, FIRST_PID);
        is_carried(report, SECOND_PID);
        assert_int_equal(fake_count("nudge_dismiss"), 0);
        assert_int_equal(fake_count("nudge_peers 1"), 2);
        assert_int_equal(fake_count("store_key_forget"), 1);
        assert_false(in_store("save"));
        assert_true(report->has_claimed_at && report->has_done_at);
        assert_null(report->stopped);
        assert_string_equal(report->new_kernel, FAKE_NEXT);
        assert_true(fake->probe_usec == 120 * USEC_PER_SEC); /* all that CRIU has for each tree */
}

/* A call fails once in the restore, which ends with this status: what its report says. */
static Ticket *restored_although(const char *event, int failure, int status) {
        fake_fail(event, 1, failure);
        assert_int_equal(fake_run(run_restore, NULL), status);
        assert_true(fake_struck());
        is_over();
        return sealed_report();
}

/* What fills the disk are the images of the trees that run again: they go first, and then there is room to
 * note it. */
static void test_no_room_for_a_note(void **state) {
        _cleanup_(ticket_freep) Ticket *report = NULL;

        sealed_two();
        report = restored_although("store_tree_done", -ENOSPC, 0);
        is_carried(report, FIRST_PID);
        is_carried(report, SECOND_PID);
        assert_int_equal(fake_count("store_tree_done"), 3);
        assert_int_equal(fake_count("store_tree_empty"), 2);
}

/* The claim is on disk before the first CRIU, the note that it has begun before its own, the note that it
 * runs before anything else, and the report before the claim goes. */
static void test_order(void **state) {
        sealed_two();
        assert_int_equal(fake_run(run_restore, NULL), 0);
        assert_true(is_before("renameat ticket.claimed", "hold_set"));
        assert_true(is_before("renameat begun", "criu_restore"));
        assert_true(is_before("criu_restore", "renameat runs"));
        assert_true(is_before("renameat runs", "nudge_peers"));
        assert_true(is_before("nudge_peers", "renameat done"));
        assert_true(is_before("renameat done", "renameat report"));
        assert_true(is_before("renameat report", "unlinkat ticket.claimed"));
        assert_true(is_before("hold_clear", "renameat report"));
        is_on_disk();
}

/* Both have died, and their service starts once more: there is nothing that it would do again. */
static void test_second_start(void **state) {
        sealed_two();
        assert_int_equal(fake_run(run_restore, NULL), 0);
        fake_forget_events();
        assert_int_equal(fake_run(run_restore, NULL), 0);
        assert_int_equal(fake_count("criu_restore"), 0);
        assert_int_equal(fake_tree(FIRST_PID)->returned, 1);
}

/* One tree fails at a step of its own, with that step's sentence; the other comes back. */
static void one_fails(const char *step) {
        _cleanup_(ticket_freep) Ticket *report = NULL;
        char event[64];

        sealed_two();
        snprintf(event, sizeof event, "%s %s", step, fake_tree(FIRST_PID)->name);
        report = restored_although(event, -EIO, 1);
        is_failed(report, FIRST_PID, step);
        is_carried(report, SECOND_PID);
        assert_int_equal(fake_count("nudge_dismiss 1"), 1);
        assert_int_equal(fake_count("nudge_peers 1"), 1);
        assert_int_equal(fake_count("store_key_forget"), 0); /* it may be tried again */
}

static void test_one_fails(void **state) {
        static const char *const steps[] = {"network_wait_patiently", "criu_restore", "rights_check"};

        for (size_t i = 0; i < ELEMENTS(steps); i++)
                one_fails(steps[i]);
}

static void test_no_scope(void **state) {
        _cleanup_(ticket_freep) Ticket *report = NULL;

        sealed_two();
        report = restored_although("bus_start_scope", -EIO, 1);
        is_failed(report, FIRST_PID, "bus_start_scope");
        is_carried(report, SECOND_PID);
}

/* What keeps all from being tried fails all of them, and every peer is told. */
static void all_fail(const char *step) {
        _cleanup_(ticket_freep) Ticket *report = NULL;

        sealed_two();
        report = restored_although(step, -EIO, 1);
        is_failed(report, FIRST_PID, step);
        is_failed(report, SECOND_PID, step);
        assert_int_equal(fake_count("criu_restore"), 0);
        assert_int_equal(fake_count("nudge_dismiss 1"), 2);
        /* One that is held hears nothing, and the other one's hold is no reason. */
        assert_true(is_before("hold_set 1", "nudge_dismiss 1"));
}

static void test_all_fail(void **state) {
        static const char *const steps[] = {"bus_open_manager", "system_boot_id", "system_kernel",
                                            "criu_probe"};

        for (size_t i = 0; i < ELEMENTS(steps); i++)
                all_fail(steps[i]);
}

/* What is no reason to leave anybody behind. */
static void goes_on(const char *step, int error) {
        _cleanup_(ticket_freep) Ticket *report = NULL;

        sealed_two();
        report = restored_although(step, error, 0);
        is_carried(report, FIRST_PID);
        is_carried(report, SECOND_PID);
}

static void test_goes_on(void **state) {
        static const char *const steps[] = {"hold_set",          "hold_guard_start",   "hold_guard_end",
                                            "conntrack_restore", "criu_check",         "network_mtu_end",
                                            "network_mtu_sweep", "bus_shutdown_action"};

        for (size_t i = 0; i < ELEMENTS(steps); i++)
                goes_on(steps[i], -EIO);
        goes_on("hold_set", -EOPNOTSUPP);
        assert_true(fake_count("hold_set 2") >= 2);
}

/* The claim fails: nothing is touched, and the next start restores. */
static void test_claim_fails(void **state) {
        sealed_two();
        fake_fail("renameat ticket.claimed", 1, -EIO);
        assert_int_equal(fake_run(run_restore, NULL), 1);
        assert_true(fake_struck());
        assert_int_equal(fake_count("criu_restore"), 0);
        assert_true(in_store("ticket"));
        assert_int_equal(fake_run(run_restore, NULL), 0);
        assert_int_equal(fake_tree(FIRST_PID)->returned, 1);
        assert_int_equal(fake_tree(SECOND_PID)->returned, 1);
        is_over();
}

/* That it begins cannot be noted: it does not. */
static void test_begun_cannot_be_noted(void **state) {
        _cleanup_(ticket_freep) Ticket *report = NULL;

        sealed_two();
        fake_fail("renameat begun", 1, -EIO);
        fake_fail("renameat begun", 1, -EIO);
        assert_int_equal(fake_run(run_restore, NULL), 1);
        report = sealed_report();
        assert_int_equal(fake_count("criu_restore"), 1);
        assert_int_equal(fake_count("nudge_dismiss 1"), 1);
        is_over();
}

/* A note that fails behind the tree's return takes nothing back. */
static void test_notes_fail(void **state) {
        static const char *const notes[] = {"renameat runs", "renameat done"};

        for (size_t i = 0; i < ELEMENTS(notes); i++) {
                _cleanup_(ticket_freep) Ticket *report = NULL;

                sealed_two();
                fake_fail(notes[i], 1, -EIO);
                assert_int_equal(fake_run(run_restore, NULL), 0);
                assert_true(fake_struck());
                report = sealed_report();
                is_carried(report, FIRST_PID);
                is_carried(report, SECOND_PID);
                is_over();
        }
}

/* Nobody waits in vain for a report that cannot be written, and the next start writes it: it finds what
 * became of the trees. */
static void test_report_fails(void **state) {
        _cleanup_(ticket_freep) Ticket *report = NULL;

        sealed_two();
        fake_fail("renameat report", 1, -EIO);
        (void)fake_run(run_restore, NULL);
        assert_true(fake_struck());
        assert_false(in_store("report"));
        assert_true(in_store("ticket.claimed"));
        assert_int_equal(access(RUN_UNREPORTED, F_OK), 0);
        assert_false(fake->hold);
        assert_int_equal(fake_run(run_restore, NULL), 0);
        assert_int_equal(access(RUN_UNREPORTED, F_OK), -1);
        report = sealed_report();
        is_carried(report, FIRST_PID);
        is_carried(report, SECOND_PID);
        is_over();
}

/* An image that was altered: nothing of it is used. */
static void test_altered(void **state) {
        _cleanup_(ticket_freep) Ticket *report = NULL;
        int fd;

        sealed_two();
        fd = open(MACHINE_STORE "/save/pid-4000001/core-1.img", O_WRONLY | O_CLOEXEC);
        assert_int_equal(pwrite(fd, "X", 1, 0), 1);
        fd_close(fd);
        assert_int_equal(fake_run(run_restore, NULL), 1);
        report = sealed_report();
        is_failed(report, FIRST_PID, "was modified after the seal");
        is_carried(report, SECOND_PID);
        is_over();
}

/* It failed, and the restore dies before its report: the next start knows why. */
static void test_failure_is_recalled(void **state) {
        _cleanup_(ticket_freep) Ticket *report = NULL;

        sealed_two();
        fake_fail("network_wait_patiently pid-4000001", 1, -EIO);
        fake_die("store_report_write", 1);
        assert_int_equal(fake_run(run_restore, NULL), FAKE_DEAD);
        fake_heal();
        assert_int_equal(fake_run(run_restore, NULL), 1);
        report = sealed_report();
        is_failed(report, FIRST_PID, "network_wait_patiently");
        is_carried(report, SECOND_PID);
        is_over();
}

/* The machine went down in the middle: the next boot takes the claim over. */
static void test_taken_over(void **state) {
        _cleanup_(ticket_freep) Ticket *report = NULL;

        sealed_two();
        fake_die("conntrack_restore", 1);
        assert_int_equal(fake_run(run_restore, NULL), FAKE_DEAD);
        assert_true(in_store("ticket.claimed"));
        fake_reboot();
        fake_die("conntrack_restore", 1);
        assert_int_equal(fake_run(run_restore, NULL), FAKE_DEAD);
        assert_int_equal(access("/run/carryover/claimed", F_OK), 0); /* it is this boot's now */
        fake_heal();
        assert_int_equal(fake_run(run_restore, NULL), 0);
        report = sealed_report();
        is_carried(report, FIRST_PID);
        is_carried(report, SECOND_PID);
        is_over();
}

/* Its restore had begun when the machine went down: never a second time, but by hand. */
static void test_lost(void **state) {
        _cleanup_(ticket_freep) Ticket *report = NULL;
        const Tree *tree;

        sealed_two();
        fake_die("criu_restore pid-4000001", 1);
        assert_int_equal(fake_run(run_restore, NULL), FAKE_DEAD);
        fake_reboot();
        fake_heal();
        assert_int_equal(fake_run(run_restore, NULL), 1);
        report = sealed_report();
        assert_int_equal(outcome_of(report, FIRST_PID), OUTCOME__STATE__LOST);
        assert_int_equal(fake_tree(FIRST_PID)->returned, 0);
        assert_int_equal(fake_count("criu_restore pid-4000001"), 1);
        assert_true(images_are_kept(report, FIRST_PID));
        tree = ticket_find(report, "pid-4000001");
        assert_false(report_may_retry(tree, false));
        assert_true(report_may_retry(tree, true));
        is_over();
}

/* systemd starts it no more. What runs is carried, what had begun is lost, what had not has failed. */
static void test_given_up(void **state) {
        _cleanup_(ticket_freep) Ticket *report = NULL;

        sealed_two();
        fake_die("bus_start_scope pid", 1);
        fake_die("conntrack_restore", 1);
        assert_int_equal(fake_run(run_restore, NULL), FAKE_DEAD);
        fake_heal();
        assert_int_equal(fake_run(give_up, (void *)"exit-code"), 0);
        assert_true(in_store("ticket.claimed"));
        assert_int_equal(fake_run(give_up, (void *)"success"), 0);
        assert_true(in_store("ticket.claimed"));
        assert_int_equal(fake_run(give_up, (void *)"core-dump"), 1);
        report = sealed_report();
        is_failed(report, FIRST_PID, "crashed on every start");
        is_failed(report, SECOND_PID, "crashed on every start");
        assert_int_equal(fake_count("criu_restore"), 0);
        assert_int_equal(fake_count("nudge_dismiss 1"), 2);
        is_over();
}

static void test_given_up_while_it_runs(void **state) {
        _cleanup_(ticket_freep) Ticket *report = NULL;

        sealed_two();
        fake_die("nudge_peers", 1);
        assert_int_equal(fake_run(run_restore, NULL), FAKE_DEAD);
        fake_heal();
        (void)fake_run(give_up, (void *)"signal");
        report = sealed_report();
        for (size_t i = 0; i < fake->n_trees; i++) {
                const FakeTree *t = fake->trees + i;

                if (t->returned > 0) /* lost, if we died before its note */
                        assert_int_not_equal(outcome_of(report, t->pid), OUTCOME__STATE__FAILED);
                else
                        assert_true(images_are_kept(report, t->pid));
        }
        is_over();
}

static void shows_what_is_pending(void) {
        char text[64] = "";

        if (readlink(RUN_WAITS_FOR, text, sizeof text - 1) <= 0 || !strstr(text, "pid-400000"))
                _exit(77);
}

static void test_shows_what_is_pending(void **state) {
        sealed_two();
        fake_meanwhile("criu_restore", shows_what_is_pending);
        assert_int_equal(fake_run(run_restore, NULL), 0);
        fake_meanwhile("", NULL);
        assert_int_equal(access(RUN_WAITS_FOR, F_OK), -1);
        assert_int_equal(fake_count("criu_restore"), 2);
}

/* The shutdown was called off: back in the old kernel, once everything else has started. */
static void test_called_off(void **state) {
        _cleanup_(ticket_freep) Ticket *report = NULL;

        sealed_two();
        fake->boot = 1;
        assert_int_equal(fake_run(run_restore, NULL), 0);
        report = sealed_report();
        assert_string_equal(report->stopped, "the shutdown was cancelled");
        assert_int_equal(fake_count("bus_wait_settled"), 1);
        is_carried(report, FIRST_PID);
        is_over();
}

static void test_nothing_is_sealed(void **state) {
        (void)fresh_machine(NULL);
        sealed_reboot();
        fake->hold = true;
        assert_int_equal(fake_run(run_restore, NULL), 0);
        assert_false(fake->hold); /* a crash had left it */
        assert_int_equal(fake_count("criu_restore"), 0);
}

static void test_ticket_is_damaged(void **state) {
        sealed_two();
        assert_int_equal(truncate(MACHINE_STORE "/ticket", 40), 0);
        assert_int_equal(fake_run(run_restore, NULL), 1);
        assert_int_equal(fake_count("criu_restore"), 0);
        assert_true(in_store("ticket.bad"));
        assert_true(in_store("save/pid-4000001/core-1.img"));
}

/* Somebody reads it one day; nobody waits for it. */
static void test_history(void **state) {
        _cleanup_(history_done) History history = {0};
        Store store;

        sealed_two();
        assert_int_equal(fake_run(run_restore, NULL), 0);
        store = machine_store();
        assert_int_equal(store_history(&store, &history), 0);
        store_close(&store);
        assert_int_equal(history.n, 1);
        is_carried(history.reports[0], FIRST_PID);
        assert_int_equal(history.reports[0]->trees[0]->n_images, 0);
}

static void test_no_history(void **state) {
        int fd;

        sealed_two();
        fd = open(MACHINE_STORE "/history", O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
        assert_true(fd >= 0);
        (void)fd_close(fd);
        assert_int_equal(fake_run(run_restore, NULL), 0);
        is_over();
}

static void test_images_stay(void **state) {
        sealed_two();
        configure("KeepImages=yes\n");
        assert_int_equal(fake_run(run_restore, NULL), 0);
        assert_true(in_store("save/pid-4000001/core-1.img"));
        is_over();
}

int main(void) {
        const struct CMUnitTest tests[] = {
                        cmocka_unit_test(test_all_come_back),
                        cmocka_unit_test(test_order),
                        cmocka_unit_test(test_no_room_for_a_note),
                        cmocka_unit_test(test_second_start),
                        cmocka_unit_test(test_one_fails),
                        cmocka_unit_test(test_no_scope),
                        cmocka_unit_test(test_all_fail),
                        cmocka_unit_test(test_goes_on),
                        cmocka_unit_test(test_claim_fails),
                        cmocka_unit_test(test_begun_cannot_be_noted),
                        cmocka_unit_test(test_notes_fail),
                        cmocka_unit_test(test_report_fails),
                        cmocka_unit_test(test_altered),
                        cmocka_unit_test(test_failure_is_recalled),
                        cmocka_unit_test(test_taken_over),
                        cmocka_unit_test(test_lost),
                        cmocka_unit_test(test_given_up),
                        cmocka_unit_test(test_given_up_while_it_runs),
                        cmocka_unit_test(test_called_off),
                        cmocka_unit_test(test_shows_what_is_pending),
                        cmocka_unit_test(test_nothing_is_sealed),
                        cmocka_unit_test(test_ticket_is_damaged),
                        cmocka_unit_test(test_history),
                        cmocka_unit_test(test_no_history),
                        cmocka_unit_test(test_images_stay),
        };

        int r = own_machine();

        return r ?: cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: GPL-2.0-or-later */

/* Calling off, on a machine of fakes: before the seal every tree runs on, nothing is held and the system
 * stays up, whoever had begun the shutdown; behind it nothing is called off, and that is said. */

#include "base/clock.h"
#include "jump/call-off.h"
#include "report/report.h"
#include "tests/fakes/clock.h"
#include "tests/unit/programs.h"
#include "tests/unit/promise.h"

#include <poll.h>
#include <signal.h>
#include <sys/wait.h>

#define FIRST  4000001
#define SECOND 4000002
#define SAID   "/run/said"

static const RebootOptions options;
static unsigned sleeps;

static int set_up(void **state) {
        (void)fresh_machine(state);
        (void)fake_add_tree(FIRST);
        (void)fake_add_tree(SECOND);
        fake_keep();
        strcpy(fake->shutdown, "kexec");
        fake_on_sleep = NULL;
        sleeps = 0;
        (void)unlink(SAID);
        return 0;
}

static void speak_into_file(void) {
        int fd = open(SAID, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

        assert_true(fd >= 0 && dup2(fd, STDERR_FILENO) >= 0);
        (void)fd_close(fd);
}

static void assert_said(const char *words) {
        _cleanup_(freep) char *text = NULL;
        int dir = open("/run", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

        assert_int_equal(file_slurp(dir, "said", 4096, &text, NULL), 0);
        (void)fd_close(dir);
        if (!strstr(text, words))
                fail_msg("\"%s\" was not said, but \"%s\"", words, text);
}

static int run_reboot(void *userdata) {
        (void)userdata;
        speak_into_file();
        return flow_reboot(&options);
}

static int run_cancel(void *userdata) {
        (void)userdata;
        speak_into_file();
        return flow_cancel();
}

static void requested(void) {
        Request r = REQUEST__INIT;

        r.action = (char *)"kexec";
        r.kernel = (char *)FAKE_NEXT;
        r.pid = 1;
        r.realtime = 4711;
        assert_int_equal(run_seal_allow(), 0);
        assert_int_equal(run_request_write(&r), 0);
}

static void call_it_off(void) {
        (void)run_call_off();
}

/* What the save does when somebody calls it off at that point. */
static void assert_stops(const char *event, bool request) {
        _cleanup_(ticket_freep) Ticket *report = NULL;

        if (request)
                requested();
        fake_meanwhile(event, call_it_off);
        assert_int_equal(fake_run(run_save, NULL), 1);
        if (!run_called_off())
                fail_msg("nobody came by at %s", event);
        assert_null(promise_sealed());
        promise_one_life(NULL);
        assert_false(fake->hold || promise_noted());
        assert_true(fake->cancelled);
        assert_int_equal(access(RUN_REQUEST, F_OK), -1);
        report = promise_report();
        assert_string_equal(report->stopped, "cancelled on request");
        assert_true(report->called_off);
        assert_int_equal(report_verdict(report), REPORT_STOPPED);
        assert_int_equal(report->trees[0]->outcome->state, OUTCOME__STATE__LEFT);
        assert_string_equal(report->trees[0]->outcome->reason,
                            "the save was stopped; the tree continues to run");
        fake_meanwhile("", NULL);
        assert_int_equal(fake_run(run_cancel, NULL), 3); /* it is over */
}

static void test_before_the_seal(void **state) {
        static const char *const points[] = {"store_saving_begin",
                                             "fault_point save:noted",
                                             "bus_wait_settled",
                                             "preflight_tree",
                                             "fault_point save:begun",
                                             "fault_point save:after-hold",
                                             "fault_point save:before-freeze",
                                             "fault_point save:after-dump",
                                             "fault_point save:before-ready",
                                             "conntrack_save",
                                             "fault_point save:before-seal"};

        for (size_t i = 0; i < ELEMENTS(points); i++) {
                (void)set_up(state);
                assert_stops(points[i], true);
                (void)set_up(state);
                assert_stops(points[i], false); /* somebody else's `systemctl reboot` */
        }
}

/* No service that stops slowly is waited for any more. */
static void test_settles_no_longer(void **state) {
        (void)state;
        assert_stops("bus_wait_settled", true);
        assert_int_equal(fake_count("criu_dump"), 0);
        assert_int_equal(fake_count("hold_set"), 0);
}

/* A failure that comes together with it takes nothing from what was promised. */
static void test_fails_as_well(void **state) {
        (void)state;
        fake_meanwhile("fault_point save:before-seal", call_it_off);
        fake_fail("fault_point save:before-seal", 1, -EIO);
        assert_int_equal(fake_run(run_save, NULL), 1);
        assert_true(fake_struck() && fake->cancelled);
        promise_one_life(NULL);
}

/* Once it is decided, nobody is told that he called it off. */
static void test_behind_the_seal(void **state) {
        static const char *const points[] = {"store_seal", "fault_point seal:written",
                                             "fault_point save:committed", "fault_point jump:before-load"};

        for (size_t i = 0; i < ELEMENTS(points); i++) {
                _cleanup_(ticket_freep) Ticket *t = NULL;

                (void)set_up(state);
                requested();
                fake_meanwhile(points[i], call_it_off);
                assert_int_equal(fake_run(run_save, NULL), 0);
                assert_true(fake_place(points[i]) >= 0);
                fake_meanwhile("", NULL);
                assert_non_null(t = promise_sealed());
                promise_one_life(t);
                assert_false(run_called_off() || fake->cancelled);
                assert_int_equal(fake_run(run_cancel, NULL), 1);
                assert_said("too late to cancel: the save is sealed; the next boot restores the kept trees");
                assert_false(fake->cancelled);
        }
}

static bool soon(bool (*is_so)(void)) {
        for (int i = 0; i < 1000 && !is_so(); i++)
                (void)poll(NULL, 0, 10); /* the clock of the fakes does not wait */
        return is_so();
}

static void until_called_off(void) {
        (void)soon(run_called_off);
}

/* Two processes: the trees stand frozen when it is called off, and run when that is said. */
static void test_beside_the_save(void **state) {
        static const char *const points[] = {"bus_wait_settled", "fault_point save:after-dump"};

        for (size_t i = 0; i < ELEMENTS(points); i++) {
                int status = 0;
                pid_t save;

                (void)set_up(state);
                requested();
                fake_meanwhile(points[i], until_called_off);
                save = fork();
                assert_true(save >= 0);
                if (save == 0)
                        _exit(fake_run(run_save, NULL));
                assert_true(soon(promise_noted));
                assert_int_equal(fake_run(run_cancel, NULL), 0);
                promise_one_life(NULL);
                assert_false(promise_noted() || fake->hold);
                assert_true(fake->cancelled);
                assert_int_equal(waitpid(save, &status, 0), save);
                assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 1);
                fake_meanwhile("", NULL);
        }
}

static void allow_once(void) {
        if (sleeps++ == 0)
                assert_int_equal(run_seal_allow(), 0);
}

/* The save has its lock, and has not come to what decides. */
static void test_too_early(void **state) {
        int ready[2], status = 0;
        pid_t save;
        char c;

        (void)state;
        assert_int_equal(pipe2(ready, O_CLOEXEC), 0);
        save = fork();
        assert_true(save >= 0);
        if (save == 0) {
                if (run_lock("save") < 0 || write(ready[1], "", 1) != 1)
                        _exit(1);
                _exit(soon(run_called_off) ? 0 : 1);
        }
        assert_int_equal(read(ready[0], &c, 1), 1);
        fake_on_sleep = allow_once;
        assert_int_equal(fake_run(run_cancel, NULL), 0);
        assert_true(fake->cancelled);
        assert_int_equal(waitpid(save, &status, 0), save);
        assert_int_equal(status, 0);
        (void)fd_close(ready[0]);
        (void)fd_close(ready[1]);
}

/* The save has decided for the seal, and cannot write it: it takes its shutdown back, and says why. */
static void test_seal_fails(void **state) {
        _cleanup_(ticket_freep) Ticket *report = NULL;

        (void)state;
        requested();
        fake_fail("store_seal", 1, -EIO);
        assert_int_equal(fake_run(run_save, NULL), 1);
        report = promise_report();
        assert_false(report->called_off);
        promise_one_life(NULL);
        assert_true(fake->cancelled);
        assert_int_equal(fake_run(run_cancel, NULL), 3);
}

static void test_nothing_to_cancel(void **state) {
        (void)state;
        fake->shutdown[0] = '\0';
        assert_int_equal(fake_run(run_cancel, NULL), 3);
        assert_said("nothing to cancel: no carryover reboot and no save is in progress");
        assert_false(fake->cancelled);
}

/* Before systemd has come to the save: who cancels takes the shutdown back. */
static void test_before_the_save(void **state) {
        (void)state;
        requested();
        assert_int_equal(fake_run(run_cancel, NULL), 0);
        assert_said("cancelling");
        assert_true(fake->cancelled);
        assert_int_equal(access(RUN_REQUEST, F_OK), -1);
        assert_int_equal(fake_run(run_cancel, NULL), 3);
        assert_int_equal(fake_run(run_save, NULL), 0);
        assert_int_equal(fake_count("criu_dump"), 0);
        promise_one_life(NULL);
}

/* It has looked for the shutdown's job already, before that was cancelled. */
static void test_save_begins_late(void **state) {
        (void)state;
        requested();
        assert_int_equal(run_call_off(), 0);
        assert_int_equal(fake_run(run_save, NULL), 1);
        assert_true(fake->cancelled);
        assert_int_equal(fake_count("criu_dump"), 0);
        promise_one_life(NULL);
}

/* What was called off is not held against the next shutdown. */
static void test_next_one_is_saved(void **state) {
        _cleanup_(ticket_freep) Ticket *t = NULL;

        (void)state;
        requested();
        assert_int_equal(fake_run(run_cancel, NULL), 0);
        strcpy(fake->shutdown, "reboot");
        assert_int_equal(fake_run(run_save, NULL), 0);
        assert_non_null(t = promise_sealed());
        promise_one_life(t);
}

/* Nor if that one does not come as far as to ask. */
static void test_next_one_cannot_begin(void **state) {
        (void)state;
        requested();
        assert_int_equal(fake_run(run_cancel, NULL), 0);
        fake->cancelled = false;
        strcpy(fake->shutdown, "poweroff");
        configure("Encrypt=perhaps\n");
        assert_int_equal(fake_run(run_save, NULL), 1);
        assert_false(fake->cancelled);
        promise_one_life(NULL);
}

/* It may be the reason to cancel. */
static void test_broken_configuration(void **state) {
        (void)state;
        requested();
        configure("Encrypt=perhaps\n");
        assert_int_equal(fake_run(run_cancel, NULL), 0);
        assert_true(fake->cancelled);
}

/* The request is of one reboot, and another shutdown has come first: its save does not know of it. */
static void test_another_shutdown_seals(void **state) {
        uint64_t since = now_realtime();
        Config config;

        (void)state;
        requested();
        assert_int_equal(run_call_off(), 0);
        strcpy(fake->shutdown, "poweroff");
        assert_int_equal(fake_run(run_save, NULL), 0);
        assert_int_equal(config_load("", &config), 0);
        assert_int_equal(call_off_end(&config, since), -EALREADY);
        assert_false(fake->cancelled);
}

/* The kernel that the save of somebody else's kexec has loaded, with the key in it. */
static void test_what_it_loaded_goes(void **state) {
        (void)state;
        configure("Encrypt=yes\n");
        fake_meanwhile("kexec_load_kernel", call_it_off);
        assert_int_equal(fake_run(run_save, NULL), 1);
        fake_meanwhile("", NULL);
        assert_true(fake->cancelled);
        assert_false(fake->loaded);
        promise_one_life(NULL);
}

static void test_cannot_cancel(void **state) {
        (void)state;
        requested();
        fake_fail("bus_cancel_shutdown", 1, -EIO);
        assert_int_equal(fake_run(run_cancel, NULL), 1);
        assert_true(fake_struck());
        assert_said("cannot cancel the shutdown: ");
}

/* The save died in it, and nobody has put that in order yet. */
static void test_save_died(void **state) {
        (void)state;
        requested();
        fake_meanwhile("fault_point save:after-hold", call_it_off);
        fake_die("fault_point save:after-dump", 1);
        assert_int_equal(fake_run(run_save, NULL), FAKE_DEAD);
        fake_meanwhile("", NULL);
        fake_heal();
        {
                Config config;
                CallOff what;

                assert_int_equal(config_load("", &config), 0);
                assert_int_equal(call_off(&config, &what), 0);
                assert_int_equal(what, CALL_OFF_NOTHING);
                assert_int_equal(call_off_end(&config, 0), -EIO);
        }
}

static int run_aftermath(void *userdata) {
        (void)userdata;
        return flow_save_aftermath();
}

/* It died of somebody else's shutdown, and had been called off: that holds. */
static void test_save_died_called_off(void **state) {
        _cleanup_(ticket_freep) Ticket *report = NULL;

        (void)state;
        fake_meanwhile("fault_point save:after-hold", call_it_off);
        fake_die("fault_point save:after-dump", 1);
        assert_int_equal(fake_run(run_save, NULL), FAKE_DEAD);
        fake_meanwhile("", NULL);
        fake_heal();
        assert_int_equal(fake_run(run_aftermath, NULL), 1);
        assert_true(fake->cancelled);
        report = promise_report();
        assert_true(report->called_off);
        assert_non_null(strstr(report->trees[0]->outcome->reason, "the tree continues to run"));
        promise_one_life(NULL);
}

static void press(void) {
        assert_true(++sleeps < 100);
        if (sleeps > 1)
                return;
        strcpy(fake->shutdown, "kexec");
        (void)raise(SIGINT);
}

static void test_ctrl_c(void **state) {
        (void)state;
        fake->shutdown[0] = '\0';
        fake_on_sleep = press;
        assert_int_equal(fake_run(run_reboot, NULL), 1);
        assert_said("not rebooted, all trees continue to run: cancelled on request");
        assert_true(fake->cancelled);
        assert_false(fake->loaded || fake->hold);
        promise_one_life(NULL);
}

static void press_it(void) {
        (void)raise(SIGINT);
}

/* A kernel that stays loaded would be somebody else's next reboot. */
static void test_ctrl_c_while_it_loads(void **state) {
        (void)state;
        fake->shutdown[0] = '\0';
        fake_meanwhile("kexec_load_kernel", press_it);
        assert_int_equal(fake_run(run_reboot, NULL), 1);
        assert_said("cancelled on request");
        assert_int_equal(fake_count("bus_start_unit"), 0);
        assert_int_equal(access(RUN_REQUEST, F_OK), -1);
        assert_false(fake->loaded);
}

/* Who waits outside of what is kept still runs, and hears that it is too late; then the answer. */
static void press_too_late(void) {
        assert_true(++sleeps < 100);
        if (sleeps == 1) {
                strcpy(fake->shutdown, "kexec");
                assert_int_equal(fake_run(run_save, NULL), 0);
                (void)raise(SIGINT);
        } else if (sleeps == 2) {
                fake_reboot();
                (void)fake_run(run_next_boot, NULL);
        }
}

static void test_ctrl_c_is_late(void **state) {
        (void)state;
        fake->shutdown[0] = '\0';
        fake_on_sleep = press_too_late;
        assert_int_equal(fake_run(run_reboot, NULL), 0);
        assert_said("too late to cancel: the save is sealed; the next boot restores the kept trees");
        assert_false(fake->cancelled);
        assert_int_equal(fake_tree(FIRST)->returned, 1);
}

/* `carryover cancel` from elsewhere: the one who waits hears it, too. */
static void cancel_elsewhere(void) {
        assert_true(++sleeps < 100);
        if (sleeps > 1)
                return;
        strcpy(fake->shutdown, "kexec");
        assert_int_equal(fake_run(run_cancel, NULL), 0);
}

static void test_cancelled_elsewhere(void **state) {
        (void)state;
        fake->shutdown[0] = '\0';
        fake_on_sleep = cancel_elsewhere;
        assert_int_equal(fake_run(run_reboot, NULL), 1);
        promise_one_life(NULL);
        assert_true(fake->cancelled);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                        cmocka_unit_test_setup(test_before_the_seal, set_up),
                        cmocka_unit_test_setup(test_settles_no_longer, set_up),
                        cmocka_unit_test_setup(test_fails_as_well, set_up),
                        cmocka_unit_test_setup(test_behind_the_seal, set_up),
                        cmocka_unit_test_setup(test_beside_the_save, set_up),
                        cmocka_unit_test_setup(test_too_early, set_up),
                        cmocka_unit_test_setup(test_seal_fails, set_up),
                        cmocka_unit_test_setup(test_nothing_to_cancel, set_up),
                        cmocka_unit_test_setup(test_before_the_save, set_up),
                        cmocka_unit_test_setup(test_save_begins_late, set_up),
                        cmocka_unit_test_setup(test_next_one_is_saved, set_up),
                        cmocka_unit_test_setup(test_next_one_cannot_begin, set_up),
                        cmocka_unit_test_setup(test_broken_configuration, set_up),
                        cmocka_unit_test_setup(test_another_shutdown_seals, set_up),
                        cmocka_unit_test_setup(test_what_it_loaded_goes, set_up),
                        cmocka_unit_test_setup(test_cannot_cancel, set_up),
                        cmocka_unit_test_setup(test_save_died, set_up),
                        cmocka_unit_test_setup(test_save_died_called_off, set_up),
                        cmocka_unit_test_setup(test_ctrl_c, set_up),
                        cmocka_unit_test_setup(test_ctrl_c_while_it_loads, set_up),
                        cmocka_unit_test_setup(test_ctrl_c_is_late, set_up),
                        cmocka_unit_test_setup(test_cancelled_elsewhere, set_up),
        };
        int r = own_machine();

        return r ?: cmocka_run_group_tests(tests, NULL, NULL);
}

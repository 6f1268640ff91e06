/* SPDX-License-Identifier: GPL-2.0-or-later */

/* `carryover reboot` on a machine of fakes: what it refuses before anything stops, what it leaves behind
 * when it cannot go on, and the whole way over a save, a jump and a restore to its answer. */

#include "inspect/facts.h"
#include "report/report.h"
#include "tests/fakes/clock.h"
#include "tests/unit/programs.h"
#include "tests/unit/promise.h"

#include <sys/stat.h>
#include <sys/wait.h>

#define FIRST  4000001
#define SECOND 4000002

static RebootOptions options;

static int run_reboot(void *userdata) {
        (void)userdata;
        return flow_reboot(&options);
}

static int set_up(void **state) {
        (void)fresh_machine(state);
        (void)fake_add_tree(FIRST);
        (void)fake_add_tree(SECOND);
        fake_keep();
        options = (RebootOptions){0};
        fake_meanwhile("", NULL);
        fake_on_sleep = NULL;
        return 0;
}

/* The first time that it waits: the system goes down, and comes back unless the save has stopped. */
static void way_over(void) {
        static unsigned times;

        assert_true(++times < 1000); /* an answer comes */
        if (!fake->started[0])
                return;
        strcpy(fake->shutdown, strcmp(fake->started, "kexec.target") == 0 ? "kexec" : "reboot");
        fake->started[0] = '\0';
        (void)fake_run(run_save, NULL);
        if (fake->cancelled)
                return;
        fake_reboot();
        (void)fake_run(run_next_boot, NULL);
}

static void assert_not_begun(int status) {
        assert_int_equal(fake_run(run_reboot, NULL), status);
        assert_int_equal(fake->started[0], '\0');
        assert_int_equal(access(RUN_REQUEST, F_OK), -1);
        assert_int_equal(access(RUN_MAY_SEAL, F_OK), -1); /* there is nothing to cancel */
        assert_false(fake->loaded || fake->hold);
        promise_one_life(NULL);
}

static void test_over_and_back(void **state) {
        _cleanup_(ticket_freep) Ticket *report = NULL;

        (void)state;
        fake_on_sleep = way_over;
        assert_int_equal(fake_run(run_reboot, NULL), 0);
        report = promise_report();
        assert_true(report->has_request_at);
        assert_true(fake_tree(FIRST)->returned == 1 && fake_tree(SECOND)->returned == 1);
        /* What was loaded before the save will do, and the trees do not stand while it is done again. */
        assert_int_equal(fake_count("kexec_load_kernel"), 1);
        assert_true(fake_place("kexec_load_kernel") < fake_place("store_saving_begin"));
        assert_true(fake_place("stop_order") < fake_place("bus_start_unit kexec.target"));
        assert_true(fake_place("run_request_write") < fake_place("bus_start_unit kexec.target"));
}

/* Somebody has kept another tree since: early boot must know of that. */
static void keep_one_more(void) {
        if (fake->n_trees == 2) {
                (void)fake_add_tree(SECOND + 1);
                fake_keep();
        }
        way_over();
}

static void test_loaded_again(void **state) {
        (void)state;
        fake_on_sleep = keep_one_more;
        assert_int_equal(fake_run(run_reboot, NULL), 0);
        assert_int_equal(fake_count("kexec_load_kernel"), 2);
        assert_int_equal(fake_tree(SECOND + 1)->returned, 1);
}

/* Processes that are born between the load and the freeze need no other kernel. */
static void test_room_for_births(void **state) {
        _cleanup_(request_freep) Request *request = NULL;

        (void)state;
        fake_die("nanosleep", 1);
        assert_int_equal(fake_run(run_reboot, NULL), FAKE_DEAD);
        assert_int_equal(run_request_read(&request), 0);
        assert_non_null(request->loaded);
        assert_true(request->loaded->max_pid >= SECOND + 1000);
        assert_int_equal(request->loaded->n_connections, 2);
}

static void test_through_the_firmware(void **state) {
        (void)state;
        options.no_kexec = true;
        fake_on_sleep = way_over;
        assert_int_equal(fake_run(run_reboot, NULL), 0);
        assert_int_equal(fake_count("kexec_load_kernel"), 0);
        assert_int_equal(fake_count("bus_start_unit reboot.target"), 1);
        assert_int_equal(fake_tree(FIRST)->returned, 1);
}

/* The boot loader has its kernels where we do not look: nobody knows which comes, and that forbids
 * nothing. */
static void test_firmware_knows(void **state) {
        (void)state;
        options.no_kexec = true;
        fake_on_sleep = way_over;
        fake_fail("kernel_find", 1, -ENOENT);
        assert_int_equal(fake_run(run_reboot, NULL), 0);
        assert_true(fake_struck());
        assert_int_equal(fake_tree(FIRST)->returned, 1);
}

static void test_encrypted(void **state) {
        (void)state;
        configure("Encrypt=yes\n");
        fake_on_sleep = way_over;
        assert_int_equal(fake_run(run_reboot, NULL), 1); /* this machine's jump loses the key */
        assert_int_equal(fake_count("kexec_load_kernel"), 1);
        assert_int_equal(fake_tree(FIRST)->returned, 0);
}

/* Nothing is rebooted, everything goes on, and the kernel that was loaded is not there to be jumped into. */
static void test_save_stops(void **state) {
        (void)state;
        fake_on_sleep = way_over;
        fake_fail("fault_point save:before-seal", 1, -EIO);
        assert_int_equal(fake_run(run_reboot, NULL), 1);
        assert_true(fake->cancelled);
        assert_false(fake->loaded || fake->hold);
        promise_one_life(NULL);
        assert_int_equal(access(RUN_REQUEST, F_OK), -1);
}

static void test_nothing_is_kept(void **state) {
        Keep keep = KEEP__INIT;

        (void)state;
        assert_int_equal(run_keep_write(&keep), 0);
        assert_not_begun(3);
}

static void test_refused(void **state) {
        (void)state;
        strcpy(fake_tree(SECOND)->refusal, "it is refused");
        assert_not_begun(4);
        options.force = true;
        fake_on_sleep = way_over;
        assert_int_equal(fake_run(run_reboot, NULL), 1); /* one did not go along */
        assert_int_equal(fake_tree(FIRST)->returned, 1);
        assert_int_equal(fake_tree(SECOND)->returned, 0);
}

static void test_all_refused(void **state) {
        (void)state;
        options.force = true;
        strcpy(fake_tree(FIRST)->refusal, "it is refused");
        strcpy(fake_tree(SECOND)->refusal, "it is refused");
        assert_not_begun(4);
}

static void test_machine_refused(void **state) {
        (void)state;
        options.force = true;
        strcpy(fake->machine_refusal, "no CRIU");
        assert_not_begun(4);
}

/* Who was not kept has ended, and whoever said yes to that is told so once more. */
static void test_others_end(void **state) {
        _cleanup_(ticket_freep) Ticket *report = NULL;

        (void)state;
        fake->n_trees = 1;
        fake_keep();
        fake->n_trees = 2;
        assert_not_begun(4);
        options.yes = true;
        fake_on_sleep = way_over;
        assert_int_equal(fake_run(run_reboot, NULL), 1);
        report = promise_report();
        assert_int_equal(fake_tree(FIRST)->returned, 1);
        assert_int_equal(report->n_ended, 1);
        assert_true(report_trees_ok(report) && !report_ok(report));
}

/* Which of the looks at everything they are. */
#define CENSUS_OF_REBOOT 3
#define CENSUS_OF_SAVE   5

/* Where the command cannot see what ends, the save looks; and if that cannot either, nobody reads that
 * everything was carried. */
static void test_others_cannot_be_seen(void **state) {
        (void)state;
        for (unsigned n_blind = 1; n_blind <= 2; n_blind++) {
                _cleanup_(ticket_freep) Ticket *report = NULL;

                (void)set_up(state);
                fake->n_trees = 1;
                fake_keep();
                fake->n_trees = 2;
                options.yes = true;
                fake_on_sleep = way_over;
                fake_fail("snapshot_take", CENSUS_OF_REBOOT, -EIO);
                if (n_blind > 1)
                        fake_fail("snapshot_take", CENSUS_OF_SAVE, -EIO);
                assert_int_equal(fake_run(run_reboot, NULL), 1);
                assert_true(fake_struck());
                report = promise_report();
                assert_int_equal(report->n_ended, 1);
                assert_string_equal(report->ended[0]->what, n_blind > 1 ? "cannot determine what else ended"
                                                                        : "pid-4000002.service");
                assert_true(report_trees_ok(report) && !report_ok(report));
        }
}

/* One of two trees is not kept, and there is a terminal, where the answer is yes. What happens meanwhile: */
static void ask_while(void (*happens)(void)) {
        fake->n_trees = 1;
        fake_keep();
        fake->n_trees = 2;
        fake->answer = 1;
        fake_meanwhile("terminal_ask", happens);
        fake_on_sleep = way_over;
}

/* A process is not kept out by its own lock. */
static void lock_is_free(void) {
        int status = 0;
        pid_t pid = fork();

        if (pid == 0)
                _exit(run_lock("reboot") >= 0 ? 0 : 1);
        assert_true(pid > 0 && waitpid(pid, &status, 0) == pid);
        assert_int_equal(status, 0);
}

static void test_asks_without_lock(void **state) {
        (void)state;
        ask_while(lock_is_free);
        assert_int_equal(fake_run(run_reboot, NULL), 1);
        assert_int_equal(fake_count("terminal_ask"), 1);
        assert_int_equal(fake_tree(FIRST)->returned, 1);
}

static void one_more(void) {
        if (fake->n_trees == 2)
                (void)fake_add_tree(SECOND + 1);
}

/* Who said yes to one did not to two, and a second yes is for both. */
static void test_asks_again(void **state) {
        _cleanup_(ticket_freep) Ticket *report = NULL;

        (void)state;
        ask_while(one_more);
        assert_int_equal(fake_run(run_reboot, NULL), 1);
        assert_int_equal(fake_count("terminal_ask"), 2);
        assert_int_equal(fake_count("kexec_load_kernel"), 1);
        report = promise_report();
        assert_int_equal(report->n_ended, 2);
}

static void second_ends(void) {
        fake_tree(SECOND)->life = FAKE_DEAD;
}

/* What has ended by itself meanwhile is not reported, nor asked for once more. */
static void test_less_ends(void **state) {
        (void)state;
        ask_while(second_ends);
        assert_int_equal(fake_run(run_reboot, NULL), 0);
        assert_int_equal(fake_count("terminal_ask"), 1);
        assert_int_equal(fake_tree(FIRST)->returned, 1);
}

static void first_is_refused(void) {
        strcpy(fake_tree(FIRST)->refusal, "it is refused by now");
}

static void test_refused_while_asked(void **state) {
        (void)state;
        ask_while(first_is_refused);
        assert_not_begun(4);
        assert_int_equal(fake_count("terminal_ask"), 1);
}

static void somebody_jumps(void) {
        strcpy(fake->shutdown, "kexec");
        fake->loaded = true;
}

/* Their kernel and their seal are left alone. */
static void test_shutdown_while_asked(void **state) {
        (void)state;
        ask_while(somebody_jumps);
        assert_int_equal(fake_run(run_reboot, NULL), 1);
        assert_int_equal(fake->started[0], '\0');
        assert_true(fake->loaded);
        assert_int_equal(fake_count("kexec_load_kernel"), 0);
        assert_int_equal(fake_count("kexec_unload"), 0);
        assert_int_equal(fake_count("run_seal_take"), 0);
        assert_int_equal(access(RUN_REQUEST, F_OK), -1);
}

/* What unmasks it is said by preflight, if it is told (test-preflight.c). */
static void test_service_masked(void **state) {
        static const struct {
                const char *state, *text;
                bool masked;
        } cases[] = {{"active", NULL, false},
                     {"inactive", "carryover.service is not running", false},
                     {"masked", "carryover.service is masked", true}};
        Config config;

        (void)state;
        assert_int_equal(config_load("", &config), 0);
        for (size_t i = 0; i < ELEMENTS(cases); i++) {
                _cleanup_(preflight_facts_done) PreflightFacts facts = {0};

                fake_unit_state = cases[i].state;
                assert_int_equal(facts_gather(&config, NULL, true, &facts), 0);
                assert_int_equal(facts.masked, cases[i].masked);
                if (cases[i].text)
                        assert_string_equal(facts.wrong[FACT_SERVICE], cases[i].text);
                else
                        assert_null(facts.wrong[FACT_SERVICE]);
        }
        fake_unit_state = "active";
}

/* Who asks what a save would find makes no store. */
static void test_no_store(void **state) {
        _cleanup_(preflight_facts_done) PreflightFacts facts = {0};
        Config config;

        (void)state;
        assert_int_equal(config_load("", &config), 0);
        assert_int_equal(access(MACHINE_STORE, F_OK), -1);
        assert_int_equal(facts_gather(&config, NULL, true, &facts), 0);
        assert_int_equal(preflight_facts_complete(&facts), 0);
        assert_true(facts.store_free > 0);
        assert_int_equal(access(MACHINE_STORE, F_OK), -1);
}

/* What logind would refuse for somebody else is refused for us, before anything is touched. */
static void test_inhibited(void **state) {
        int dir = open_dirs("/run/systemd/inhibit", 0755);
        const char *lock = "WHAT=shutdown\nMODE=block\nUID=0\nPID=812\nWHO=apt\nWHY=upgrade\n";
        _cleanup_(closep) int fd = -1;

        (void)state;
        assert_int_equal(file_replace(dir, "1", lock, strlen(lock)), 0);
        assert_int_equal(mkfifoat(dir, "1.ref", 0600), 0);
        fd = openat(dir, "1.ref", O_RDWR | O_CLOEXEC);
        assert_true(fd >= 0);
        assert_not_begun(4);
        assert_int_equal(fake_count("kexec_load_kernel"), 0);
        assert_int_equal(fake_count("stop_order"), 0);
        options.force = true;
        assert_not_begun(4);
        options.ignore_inhibitors = true;
        fake_on_sleep = way_over;
        assert_int_equal(fake_run(run_reboot, NULL), 0);
        assert_int_equal(fake_tree(FIRST)->returned, 1);
        assert_int_equal(file_remove_tree(dir, "1"), 0);
        (void)fd_close(dir);
}

static void test_under_way(void **state) {
        (void)state;
        strcpy(fake->shutdown, "poweroff");
        assert_not_begun(1);
        assert_int_equal(fake_count("snapshot_look"), 0);
}

/* Whatever it cannot do, it leaves nothing of itself. */
static void test_fails(void **state) {
        static const char *const calls[] = {"bus_shutdown_action", "kernel_find",       "run_keep_read",
                                            "snapshot_look",       "preflight_machine", "stop_order",
                                            "kexec_load_kernel",   "run_request_write", "bus_start_unit"};

        for (size_t i = 0; i < ELEMENTS(calls); i++) {
                (void)set_up(state);
                fake_fail(calls[i], 1, -EIO);
                assert_not_begun(1);
                assert_true(fake_struck());
        }
}

static void it_has_ended(void) {
        fake_tree(SECOND)->refusal[0] = '\0';
}

/* What ends while it is looked at refuses nothing, and is looked at twice, not oftener. */
static void test_looked_at_twice(void **state) {
        (void)state;
        strcpy(fake_tree(SECOND)->refusal, "it ends just now");
        assert_not_begun(4);
        assert_int_equal(fake_count("preflight_machine"), 2);
        fake_meanwhile("preflight_may_pass", it_has_ended);
        fake_on_sleep = way_over;
        assert_int_equal(fake_run(run_reboot, NULL), 0);
        assert_int_equal(fake_tree(SECOND)->returned, 1);
}

static void all_end(void) {
        fake_tree(FIRST)->life = fake_tree(SECOND)->life = FAKE_DEAD;
}

/* Between the list and the look: there is nothing to carry, and who wanted a reboot gets it. */
static void test_all_have_ended(void **state) {
        (void)state;
        fake_meanwhile("snapshot_look", all_end);
        fake_on_sleep = way_over;
        (void)fake_run(run_reboot, NULL); /* on a machine it ends with the old kernel */
        assert_int_equal(fake_count("bus_start_unit"), 1);
        assert_int_equal(fake_count("criu_dump"), 0);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                        cmocka_unit_test_setup(test_over_and_back, set_up),
                        cmocka_unit_test_setup(test_loaded_again, set_up),
                        cmocka_unit_test_setup(test_room_for_births, set_up),
                        cmocka_unit_test_setup(test_through_the_firmware, set_up),
                        cmocka_unit_test_setup(test_firmware_knows, set_up),
                        cmocka_unit_test_setup(test_encrypted, set_up),
                        cmocka_unit_test_setup(test_save_stops, set_up),
                        cmocka_unit_test_setup(test_nothing_is_kept, set_up),
                        cmocka_unit_test_setup(test_refused, set_up),
                        cmocka_unit_test_setup(test_all_refused, set_up),
                        cmocka_unit_test_setup(test_machine_refused, set_up),
                        cmocka_unit_test_setup(test_looked_at_twice, set_up),
                        cmocka_unit_test_setup(test_all_have_ended, set_up),
                        cmocka_unit_test_setup(test_others_end, set_up),
                        cmocka_unit_test_setup(test_others_cannot_be_seen, set_up),
                        cmocka_unit_test_setup(test_asks_without_lock, set_up),
                        cmocka_unit_test_setup(test_asks_again, set_up),
                        cmocka_unit_test_setup(test_less_ends, set_up),
                        cmocka_unit_test_setup(test_refused_while_asked, set_up),
                        cmocka_unit_test_setup(test_shutdown_while_asked, set_up),
                        cmocka_unit_test_setup(test_service_masked, set_up),
                        cmocka_unit_test_setup(test_no_store, set_up),
                        cmocka_unit_test_setup(test_inhibited, set_up),
                        cmocka_unit_test_setup(test_under_way, set_up),
                        cmocka_unit_test_setup(test_fails, set_up),
        };

        int r = own_machine();

        return r ?: cmocka_run_group_tests(tests, NULL, NULL);
}

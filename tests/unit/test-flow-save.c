/* SPDX-License-Identifier: GPL-2.0-or-later */

/* The save as a whole program, on a machine of fakes: what is true when it has come to its end. */

#include "base/clock.h"
#include "tests/unit/programs.h"
#include "tests/unit/promise.h"

#define FIRST  4000001
#define SECOND 4000002

static void go_down(const char *action) {
        snprintf(fake->shutdown, sizeof fake->shutdown, "%s", action);
}

static int set_up(void **state) {
        (void)fresh_machine(state);
        (void)fake_add_tree(FIRST);
        (void)fake_add_tree(SECOND);
        fake_keep();
        go_down("kexec");
        return 0;
}

static void request(const char *action, bool force) {
        Request r = REQUEST__INIT;

        r.action = (char *)action;
        r.kernel = strcmp(action, "kexec") == 0 ? (char *)FAKE_NEXT : NULL;
        r.append = (char *)"quiet";
        r.pid = 1;
        r.realtime = 4711;
        r.has_force = true;
        r.force = force;
        assert_int_equal(run_request_write(&r), 0);
}

/* Runs it; the ticket, which the caller frees. */
static Ticket *save(int status) {
        Ticket *t;

        assert_int_equal(fake_run(run_save, NULL), status);
        t = promise_sealed();
        promise_one_life(t);
        assert_false(promise_noted());
        return t;
}

/* Before the gap begins, and as soon as it is known whom it is about. */
static void test_told(void **state) {
        _cleanup_(ticket_freep) Ticket *t = save(0);

        assert_non_null(t);
        assert_int_equal(fake_count("terminals_say"), 1);
        assert_true(fake_place("terminals_say") > fake_place("preflight_tree"));
        assert_true(fake_place("terminals_say") < fake_place("hold_set"));
        (void)set_up(state);
        configure("Notify=no\n");
        model_free(TAKE(t));
        t = save(0);
        assert_non_null(t);
        assert_int_equal(fake_count("terminals_say"), 0);
        (void)set_up(state);
        configure("");
        request("kexec", false);
        fake_fail("fault_point save:before-seal", 1, -EIO);
        assert_int_equal(fake_run(run_save, NULL), 1);
        assert_int_equal(fake_count("terminals_say"), 2); /* and that nothing ends */
}

static void assert_stopped(bool requested, const char *why) {
        _cleanup_(ticket_freep) Ticket *t = save(1), *report = promise_report();

        assert_null(t);
        promise_stopped(requested);
        assert_non_null(strstr(report->stopped, why));
        assert_int_equal(access(MACHINE_STORE "/save/pid-4000001/core-1.img", F_OK), -1);
        assert_int_equal(fake->cancelled, requested);
}

static void assert_left(const Ticket *t, const char *name, const char *why) {
        const Tree *tree = ticket_find(t, name);
        char path[128];

        assert_non_null(tree);
        assert_non_null(tree->outcome);
        assert_int_equal(tree->outcome->state, OUTCOME__STATE__LEFT);
        if (!strstr(tree->outcome->reason, why))
                fail_msg("%s", tree->outcome->reason);
        snprintf(path, sizeof path, MACHINE_STORE "/save/%s/core-1.img", name);
        assert_int_equal(access(path, F_OK), -1); /* secrets of nobody's use */
}

static void test_kexec(void **state) {
        _cleanup_(ticket_freep) Ticket *t = save(0);

        (void)state;
        assert_int_equal(t->n_trees, 2);
        assert_int_equal(t->trees[0]->huge_bytes, 6 << 20); /* no larger pages */
        assert_true(fake->loaded && fake->hold && fake->guard_left);
        assert_int_equal(fake->n_held, 2);
        assert_string_equal(t->target_kernel, FAKE_NEXT);
        assert_string_equal(t->hold_backend, "nftables");
        assert_null(t->stopped);
        assert_int_equal(t->trees[0]->n_images, 3);
        assert_int_equal(t->trees[0]->n_connections, 1);
        assert_true(t->trees[0]->has_frozen_at && t->sealed_at >= t->trees[0]->frozen_at);
        assert_int_equal(access("/run/carryover/hold", F_OK), 0);
}

/* It comes back by its own numbers, and lives on by the host's. */
static void test_inside(void **state) {
        _cleanup_(ticket_freep) Ticket *t = NULL, *report = NULL;
        const Tree *tree;

        (void)state;
        fake->trees[0].init = 4000100;
        fake->trees[0].own = 20000;
        request("kexec", false);
        fake_fail("sync_tree", 1, -EIO); /* when all is noted */
        fake_fail("sync_tree", 2, -EIO);
        t = save(1);
        assert_null(t);
        report = promise_report();
        tree = ticket_find(report, "pid-4000001");
        assert_int_equal(tree->n_pids, 1);
        assert_int_equal(tree->pids[0], FIRST);

        fake_heal();
        go_down("kexec");
        t = save(0);
        tree = ticket_find(t, "pid-4000001");
        assert_int_equal(tree->root_pid, FIRST);
        assert_int_equal(tree->init_pid, 4000100);
        assert_int_equal(tree->own_root_pid, 20000);
        assert_int_equal(tree->n_pids, 1);
        assert_int_equal(tree->pids[0], 20000);
}

/* Through the firmware nothing is loaded. */
static void test_reboot(void **state) {
        _cleanup_(ticket_freep) Ticket *t = NULL;

        (void)state;
        go_down("reboot");
        request("kexec", false); /* of a reboot that did not take place */
        t = save(0);
        assert_false(fake->loaded);
        assert_false(t->has_request_at);
        assert_true(fake->hold && fake->guard_left);
}

static void test_requested(void **state) {
        _cleanup_(ticket_freep) Ticket *t = NULL;

        (void)state;
        request("kexec", false);
        t = save(0);
        assert_int_equal(t->request_at, 4711);
        assert_non_null(strstr(fake->loaded_cmdline, "quiet"));
        assert_false(fake->cancelled);
        assert_int_equal(access(RUN_REQUEST, F_OK), 0); /* until its boot ends */
}

/* What nobody kept: as it is when the save begins, or as the request has it, which is older. */
static void test_not_kept(void **state) {
        _cleanup_(ticket_freep) Ticket *t = NULL;

        (void)state;
        (void)fake_add_tree(4000003);
        t = save(0);
        assert_int_equal(t->n_trees, 2);
        assert_int_equal(t->n_ended, 1);
        assert_string_equal(t->ended[0]->what, "pid-4000003.service");
        assert_string_equal(t->ended[0]->fate, "lost");
        assert_string_equal(t->ended[0]->why, "not enabled; not kept: carryover keep unit:pid-4000003");
}

static void test_not_kept_as_requested(void **state) {
        _cleanup_(ticket_freep) Ticket *t = NULL;
        Ended e = ENDED__INIT, *list = &e;
        Request r = REQUEST__INIT;

        (void)state;
        (void)fake_add_tree(4000003);
        e.what = (char *)"session 9 (ssh)";
        e.user = (char *)"joe";
        e.fate = (char *)"lost";
        r.action = (char *)"kexec";
        r.kernel = (char *)FAKE_NEXT;
        r.pid = 1;
        r.realtime = 4711;
        r.ended = &list;
        r.n_ended = 1;
        assert_int_equal(run_request_write(&r), 0);
        t = save(0);
        assert_int_equal(t->n_ended, 1);
        assert_string_equal(t->ended[0]->what, "session 9 (ssh)");
}

/* That it cannot be told is no reason to save nothing; but nobody may read that nothing has ended. */
static void test_not_kept_is_not_known(void **state) {
        _cleanup_(ticket_freep) Ticket *t = NULL;

        (void)state;
        fake_fail("snapshot_take", 2, -EIO);
        t = save(0);
        assert_true(fake_struck());
        assert_int_equal(t->n_trees, 2);
        assert_int_equal(t->n_ended, 1);
        assert_string_equal(t->ended[0]->what, "cannot determine what else ended");
        assert_string_equal(t->ended[0]->fate, "lost");
        assert_non_null(strstr(t->ended[0]->why, "snapshot_take"));
}

/* All that others do before the freeze is behind them by then, and what is to be noted is noted first. */
static void test_order(void **state) {
        static const char *const order[] = {
                        "store_saving_begin", "bus_wait_settled",
                        "sync_machine",       "store_reserve",
                        "hold_set",           "fault_point save:before-freeze",
                        "criu_dump_images",   "image_verify",
                        "store_tree_reserve", "sync_tree",
                        "report_event saved", "fault_point save:before-seal",
                        "store_seal",         "report_event sealed",
                        "hold_guard_leave",   "kexec_load_kernel",
                        "store_amend",        "store_saving_end",
        };
        _cleanup_(ticket_freep) Ticket *t = save(0);

        (void)state;
        assert_non_null(t);
        for (size_t i = 1; i < ELEMENTS(order); i++)
                if (fake_place(order[i - 1]) < 0 || fake_place(order[i - 1]) > fake_place(order[i]))
                        fail_msg("%s does not come before %s", order[i - 1], order[i]);
        assert_true(fake_place("report_event sealed") < fake_place("criu_dump_end"));
        assert_int_equal(fake_count("process_is_traced"), 4); /* before the seal, and once more behind it */
        assert_int_equal(fake_count("sync_machine"), 2);
        assert_int_equal(fake_count("store_saving_begin"), 2);
        assert_int_equal(fake_count("sync_tree"), 2);
        assert_int_equal(fake_count("exec_bits_return") + fake_count("remaps_sweep_lost"), 0);
}

static void test_nothing_to_do(void **state) {
        Keep keep = KEEP__INIT;

        (void)state;
        go_down("");
        assert_null(save(0));
        assert_int_equal(fake_count("snapshot_take"), 0);
        go_down("kexec");
        assert_int_equal(run_keep_write(&keep), 0);
        assert_null(save(0));
        assert_int_equal(fake_count("store_saving_begin"), 0);
}

static void end_all(void) {
        fake_tree(FIRST)->life = fake_tree(SECOND)->life = FAKE_DEAD;
}

static void end_first(void) {
        fake_tree(FIRST)->life = FAKE_DEAD;
}

static void test_ended_meanwhile(void **state) {
        (void)state;
        fake_meanwhile("bus_wait_settled", end_all);
        assert_int_equal(fake_run(run_save, NULL), 0);
        assert_null(promise_sealed());
        assert_false(promise_noted() || fake->hold);
        assert_int_equal(fake_count("criu_dump"), 0);
}

/* Between the list and the look. */
static void test_one_ended(void **state) {
        _cleanup_(ticket_freep) Ticket *t = NULL;

        (void)state;
        fake_meanwhile("store_space", end_first);
        assert_int_equal(fake_run(run_save, NULL), 0);
        t = promise_sealed();
        assert_int_equal(t->n_trees, 1);
        assert_string_equal(t->trees[0]->name, "pid-4000002");
        assert_int_equal(fake->n_held, 1);
}

/* What CRIU could not make again at the restore is known now, and that tree stays. */
static void test_cannot_come_back(void **state) {
        _cleanup_(ticket_freep) Ticket *t = NULL;

        (void)state;
        fake_fail("remaps_check", 1, -EEXIST);
        t = save(0);
        assert_int_equal((t->trees[0]->outcome != NULL) + (t->trees[1]->outcome != NULL), 1);
        assert_true(fake_struck());
}

/* Its number is another one's when it stands. */
static void become_another(void) {
        fake_tree(FIRST)->start++;
}

static void test_another_has_its_number(void **state) {
        _cleanup_(ticket_freep) Ticket *t = NULL;

        (void)state;
        fake_meanwhile("exec_bits_lend pid-4000001", become_another);
        t = save(0);
        assert_int_equal(t->n_trees, 1);
        assert_string_equal(t->trees[0]->name, "pid-4000002");
        assert_int_equal(fake_count("criu_dump pid-4000001"), 1);
        assert_int_equal(fake_count("report_event refused"), 0);
}

/* Somebody else's shutdown goes on with those that can be carried. */
static void test_refused(void **state) {
        _cleanup_(ticket_freep) Ticket *t = NULL;

        (void)state;
        strcpy(fake_tree(SECOND)->refusal, "it is refused");
        t = save(0);
        assert_left(t, "pid-4000002", "it is refused");
        assert_int_equal(fake->n_held, 1); /* its peers shall hear that it ends */
        assert_int_equal(fake_count("criu_dump pid-4000002"), 0);
}

static void test_too_many_huge_pages(void **state) {
        _cleanup_(ticket_freep) Ticket *t = NULL;

        (void)state;
        fake_tree(SECOND)->huge = 2 << 20;
        t = save(0);
        assert_left(t, "pid-4000002", "all have too many huge pages");
        assert_int_equal(fake_count("criu_dump pid-4000002"), 0);
}

static void test_refused_and_requested(void **state) {
        (void)state;
        request("kexec", false);
        strcpy(fake_tree(SECOND)->refusal, "it is refused");
        assert_stopped(true, "it is refused");
}

static void test_forced(void **state) {
        _cleanup_(ticket_freep) Ticket *t = NULL;

        (void)state;
        request("kexec", true);
        strcpy(fake_tree(SECOND)->refusal, "it is refused");
        t = save(0);
        assert_left(t, "pid-4000002", "it is refused");
        assert_false(fake->cancelled);
}

static void test_none_is_left(void **state) {
        (void)state;
        request("kexec", true);
        strcpy(fake_tree(FIRST)->refusal, "it is refused");
        strcpy(fake_tree(SECOND)->refusal, "it is refused");
        assert_stopped(true, "it is refused");
}

static void test_loss(void **state) {
        _cleanup_(ticket_freep) Ticket *t = NULL;

        (void)state;
        strcpy(fake_tree(FIRST)->loss, "it loses something");
        t = save(0);
        assert_int_equal(t->trees[0]->n_degraded, 1);
        assert_string_equal(t->trees[0]->degraded[0]->text, "it loses something");
        assert_int_equal(t->trees[1]->n_degraded, 0);
}

static void test_machine_refused(void **state) {
        (void)state;
        strcpy(fake->machine_refusal, "there is no room");
        assert_stopped(false, "there is no room; wait");
        assert_int_equal(fake_count("criu_dump"), 0);
}

/* What it did until the freeze. */
static void test_frozen_is_refused(void **state) {
        _cleanup_(ticket_freep) Ticket *t = NULL;

        (void)state;
        strcpy(fake_tree(FIRST)->beyond, "it has become another");
        t = save(0);
        assert_left(t, "pid-4000001", "it has become another");
        assert_int_equal(fake_count("exec_bits_return pid-4000001"), 1);
        assert_int_equal(fake_count("hold_remove_criu_table 4000001"), 1);
}

/* Something ended while CRIU looked, and the next look is right: nothing is left of the first. */
static void test_once_more(void **state) {
        _cleanup_(ticket_freep) Ticket *t = NULL;

        (void)state;
        request("kexec", false);
        strcpy(fake_tree(FIRST)->loss, "it loses something");
        fake_tree(FIRST)->image_kib = 3;
        fake_fail("criu_dump_images pid-4000001", 1, -EAGAIN);
        t = save(0);
        assert_true(fake_struck());
        assert_int_equal(fake_count("criu_dump pid-4000001"), 2);
        assert_int_equal(fake_count("criu_dump pid-4000002"), 1);
        assert_int_equal(fake_count("report_event refused"), 0);
        assert_int_equal(t->n_trees, 2);
        assert_int_equal(t->trees[0]->n_images, 3);
        assert_int_equal(t->trees[0]->n_degraded, 1);
        assert_int_equal(t->trees[0]->n_connections, 1);
        assert_true(t->trees[0]->image_bytes < 4096);
        assert_int_equal(fake->n_held, 2);
        assert_false(fake->cancelled);
}

/* Likewise a file that has lost its name when it is to be read. */
static void test_once_more_behind_the_dump(void **state) {
        _cleanup_(ticket_freep) Ticket *t = NULL;

        (void)state;
        fake_fail("sync_tree", 1, -ESTALE); /* when all is noted */
        t = save(0);
        assert_true(fake_struck());
        assert_int_equal(fake_count("criu_dump"), 3);
        for (size_t i = 0; i < 2; i++) {
                assert_null(t->trees[i]->outcome);
                assert_int_equal(t->trees[i]->n_images, 3);
        }
}

/* The second failure counts, and is said once. */
static void test_not_twice_more(void **state) {
        _cleanup_(ticket_freep) Ticket *t = NULL;

        (void)state;
        fake_fail("criu_dump_images pid-4000001", 1, -EAGAIN);
        fake_fail("criu_dump_images pid-4000001", 2, -EAGAIN);
        t = save(0);
        assert_true(fake_struck());
        assert_left(t, "pid-4000001", "criu_dump_images was told to fail");
        assert_int_equal(fake_count("criu_dump pid-4000001"), 2);
        assert_int_equal(fake_count("report_event refused"), 1);
        assert_int_equal(fake->n_held, 1);
        assert_int_equal(t->trees[1]->n_images, 3);
}

static void test_not_twice_more_and_requested(void **state) {
        (void)state;
        request("kexec", false);
        fake_fail("criu_dump_images pid-4000001", 1, -EAGAIN);
        fake_fail("criu_dump_images pid-4000001", 2, -EAGAIN);
        assert_stopped(true, "criu_dump_images was told to fail");
        assert_true(fake_struck());
}

/* What is refused, too slow or not as it should be stays so. */
static void test_not_once_more(void **state) {
        static const int final[] = {-EIO, -ETIMEDOUT, -EDQUOT, -EPERM, -ENOMEM};

        (void)state;
        for (size_t i = 0; i < ELEMENTS(final); i++) {
                _cleanup_(ticket_freep) Ticket *t = NULL;

                (void)set_up(NULL);
                fake_fail("criu_dump_images pid-4000001", 1, final[i]);
                t = save(0);
                assert_left(t, "pid-4000001", "");
                assert_int_equal(fake_count("criu_dump pid-4000001"), 1);
        }
}

/* The deadline of the save holds for both tries together. */
static void be_late(void) {
        fake->clock_offset += 3600 * USEC_PER_SEC;
}

static void test_no_time_for_more(void **state) {
        _cleanup_(ticket_freep) Ticket *t = NULL;

        (void)state;
        request("kexec", true);
        fake_meanwhile("criu_dump_images pid-4000001", be_late);
        fake_fail("criu_dump_images pid-4000001", 1, -EAGAIN);
        t = save(0);
        assert_left(t, "pid-4000001", "");
        assert_int_equal(fake_count("criu_dump pid-4000001"), 1);
}

/* Both tries together take no more of the store than one may. */
static void test_no_room_for_more(void **state) {
        _cleanup_(ticket_freep) Ticket *t = NULL;

        (void)state;
        fake_tree(FIRST)->image_kib = 513;
        fake_fail("criu_dump_images pid-4000001", 1, -EAGAIN);
        t = save(0);
        assert_left(t, "pid-4000001", "exceed the space in the store");
        assert_int_equal(fake_count("criu_dump pid-4000001"), 2);
}

/* Nobody is left to be saved, or to hear of it: that is no failure. */
static void test_ended_under_the_dump(void **state) {
        _cleanup_(ticket_freep) Ticket *t = NULL;

        (void)state;
        request("kexec", false);
        fake_meanwhile("exec_bits_return pid-4000001", end_first);
        fake_fail("criu_dump_images pid-4000001", 1, -EAGAIN);
        assert_int_equal(fake_run(run_save, NULL), 0);
        t = promise_sealed();
        assert_int_equal(t->n_trees, 1);
        assert_string_equal(t->trees[0]->name, "pid-4000002");
        assert_int_equal(fake->n_held, 1);
        assert_false(promise_noted() || fake->cancelled);
        assert_int_equal(fake_count("report_event refused"), 0);
        assert_int_equal(fake_count("exec_bits_return_files pid-4000001"), 1);
        assert_int_equal(access(MACHINE_STORE "/save/pid-4000001", F_OK), -1);
}

static void test_all_ended_under_the_dump(void **state) {
        (void)state;
        fake_meanwhile("exec_bits_return", end_all);
        fake_fail("criu_dump_images pid-4000001", 1, -EAGAIN);
        fake_fail("criu_dump_images pid-4000002", 1, -EIO);
        assert_int_equal(fake_run(run_save, NULL), 0);
        assert_null(promise_sealed());
        assert_false(promise_noted() || fake->hold || fake->guard_left);
        assert_int_equal(fake_count("report_event refused"), 0);
        assert_int_equal(fake_count("report_event sealed"), 0);
}

static void test_too_large(void **state) {
        _cleanup_(ticket_freep) Ticket *t = NULL;

        (void)state;
        fake_tree(FIRST)->image_kib = 1025;
        fake_tree(SECOND)->image_kib = 1023;
        t = save(0);
        assert_left(t, "pid-4000001", "exceed the space in the store that is left");
        assert_true(t->trees[1]->image_bytes >= 1023 << 10);
}

/* CRIU dies before the seal, or while it is written. */
static void test_runs_again(void **state) {
        (void)state;
        for (unsigned look = 1; look <= 4; look++) {
                (void)set_up(NULL);
                fake_fail("process_is_traced", look, -ESRCH);
                assert_stopped(false, "its CRIU died");
                assert_int_equal(fake_count("store_unseal"), look > 2);
        }
}

/* That, and a store that cannot be written: they die after all. */
static void test_runs_again_and_no_store(void **state) {
        _cleanup_(ticket_freep) Ticket *t = NULL;

        (void)state;
        fake_fail("process_is_traced", 3, -ESRCH);
        fake_fail("store_unseal", 1, -EIO);
        t = save(0);
        assert_true(fake_struck());
        assert_int_equal(t->n_trees, 2);
}

static void test_no_room(void **state) {
        (void)state;
        fake_fail("store_reserve", 1, -ENOSPC);
        assert_stopped(false, "store_reserve was told to fail");
        assert_int_equal(fake_count("hold_set"), 0);
        (void)set_up(NULL);
        fake_fail("store_reserve", 2, -ENOSPC); /* the seal asks once more */
        assert_stopped(false, "store_reserve was told to fail");
        assert_int_equal(fake_count("store_seal"), 1);
}

static void test_no_kernel(void **state) {
        _cleanup_(ticket_freep) Ticket *t = NULL;

        (void)state;
        request("kexec", false);
        fake_fail("kexec_load_kernel", 1, -EIO);
        t = save(0);
        assert_non_null(strstr(t->stopped, "the next kernel could not be loaded"));
        assert_true(fake->cancelled && fake->hold);
        assert_int_equal(access(RUN_REQUEST, F_OK), -1);
}

/* Somebody else's shutdown then goes its longer way. */
static void test_no_kernel_for_others(void **state) {
        _cleanup_(ticket_freep) Ticket *t = NULL;

        (void)state;
        fake_fail("kexec_load_kernel", 1, -EIO);
        t = save(0);
        assert_null(t->stopped);
        assert_false(fake->cancelled);
        assert_int_equal(fake_count("report_event jump-failed"), 1);
}

static bool store_has_plain(const char *name) {
        _cleanup_(freep) char *text = NULL;
        char path[128];

        snprintf(path, sizeof path, MACHINE_STORE "/save/%s/core-1.img", name);
        assert_int_equal(file_slurp(AT_FDCWD, path, 4096, &text, NULL), 0);
        return strcmp(text, name) == 0;
}

/* The kernel that is told the key is loaded while the trees live. */
static void test_encrypted(void **state) {
        _cleanup_(ticket_freep) Ticket *t = NULL;

        (void)state;
        configure("Encrypt=yes\n");
        t = save(0);
        assert_true(t->encrypted && fake->has_key && fake->loaded);
        assert_false(store_has_plain("pid-4000001"));
        assert_true(fake_place("kexec_load_kernel") < fake_place("hold_set"));
        assert_int_equal(fake_count("criu_keep_logs"), 2);
}

static void test_not_encrypted(void **state) {
        _cleanup_(ticket_freep) Ticket *t = save(0);

        (void)state;
        assert_false(t->has_encrypted && t->encrypted);
        assert_false(fake->has_key);
        assert_true(store_has_plain("pid-4000001"));
}

/* No kernel is told the key: nothing is sealed. */
static void test_no_kernel_for_the_key(void **state) {
        (void)state;
        configure("Encrypt=yes\n");
        fake_fail("kexec_load_kernel", 1, -EIO);
        assert_stopped(false, "kexec_load_kernel was told to fail");
        assert_int_equal(fake_count("criu_dump"), 0);
}

static void test_encrypted_and_no_kexec(void **state) {
        (void)state;
        configure("Encrypt=yes\n");
        go_down("reboot");
        assert_stopped(false, "only kexec carries the key of encrypted images");
}

/* The first is sealed, and its shutdown called off; the second is to be saved. */
static void one_waits(void) {
        _cleanup_(ticket_freep) Ticket *t = NULL;

        (void)fresh_machine(NULL);
        (void)fake_add_tree(FIRST);
        fake_keep();
        go_down("kexec");
        t = save(0);
        (void)fake_add_tree(SECOND);
        fake_keep();
        fake_forget_events();
}

static void test_waiting_goes_along(void **state) {
        _cleanup_(ticket_freep) Ticket *t = NULL;

        (void)state;
        one_waits();
        t = save(0);
        assert_int_equal(t->n_trees, 2);
        assert_string_equal(t->trees[0]->name, "pid-4000002");
        assert_string_equal(t->trees[1]->name, "pid-4000001");
        assert_int_equal(fake->n_held, 2);
        assert_int_equal(fake_count("criu_dump"), 1);
}

/* A save that stops, or dies, leaves what waits sealed and held. */
static void test_waiting_stays(void **state) {
        static const char *const points[] = {"fault_point save:noted", "fault_point save:after-hold",
                                             "fault_point save:before-seal", "fault_point seal:written"};
        (void)state;
        for (size_t i = 0; i < ELEMENTS(points); i++)
                for (unsigned die = 0; die < 2; die++) {
                        _cleanup_(ticket_freep) Ticket *t = NULL;

                        one_waits();
                        if (die)
                                fake_die(points[i], 1);
                        else
                                fake_fail(points[i], 1, -EIO);
                        assert_int_equal(fake_run(run_save, NULL), die ? FAKE_DEAD : 1);
                        if (die)
                                (void)flow_save_aftermath();
                        t = promise_sealed();
                        promise_one_life(t);
                        assert_int_equal(t->n_trees, 1 + (die && i == 3 && t->n_trees == 2));
                        assert_true(promise_brings(t, fake_tree(FIRST)));
                        assert_int_equal(fake->n_held, 1);
                        assert_true(fake->hold && !promise_noted());
                }
}

int main(void) {
        const struct CMUnitTest tests[] = {
                        cmocka_unit_test_setup(test_told, set_up),
                        cmocka_unit_test_setup(test_kexec, set_up),
                        cmocka_unit_test_setup(test_inside, set_up),
                        cmocka_unit_test_setup(test_reboot, set_up),
                        cmocka_unit_test_setup(test_requested, set_up),
                        cmocka_unit_test_setup(test_not_kept, set_up),
                        cmocka_unit_test_setup(test_not_kept_as_requested, set_up),
                        cmocka_unit_test_setup(test_not_kept_is_not_known, set_up),
                        cmocka_unit_test_setup(test_order, set_up),
                        cmocka_unit_test_setup(test_nothing_to_do, set_up),
                        cmocka_unit_test_setup(test_ended_meanwhile, set_up),
                        cmocka_unit_test_setup(test_one_ended, set_up),
                        cmocka_unit_test_setup(test_another_has_its_number, set_up),
                        cmocka_unit_test_setup(test_cannot_come_back, set_up),
                        cmocka_unit_test_setup(test_refused, set_up),
                        cmocka_unit_test_setup(test_too_many_huge_pages, set_up),
                        cmocka_unit_test_setup(test_refused_and_requested, set_up),
                        cmocka_unit_test_setup(test_forced, set_up),
                        cmocka_unit_test_setup(test_none_is_left, set_up),
                        cmocka_unit_test_setup(test_loss, set_up),
                        cmocka_unit_test_setup(test_machine_refused, set_up),
                        cmocka_unit_test_setup(test_frozen_is_refused, set_up),
                        cmocka_unit_test_setup(test_once_more, set_up),
                        cmocka_unit_test_setup(test_once_more_behind_the_dump, set_up),
                        cmocka_unit_test_setup(test_not_twice_more, set_up),
                        cmocka_unit_test_setup(test_not_twice_more_and_requested, set_up),
                        cmocka_unit_test_setup(test_not_once_more, set_up),
                        cmocka_unit_test_setup(test_no_time_for_more, set_up),
                        cmocka_unit_test_setup(test_no_room_for_more, set_up),
                        cmocka_unit_test_setup(test_ended_under_the_dump, set_up),
                        cmocka_unit_test_setup(test_all_ended_under_the_dump, set_up),
                        cmocka_unit_test_setup(test_too_large, set_up),
                        cmocka_unit_test_setup(test_runs_again, set_up),
                        cmocka_unit_test_setup(test_runs_again_and_no_store, set_up),
                        cmocka_unit_test_setup(test_no_room, set_up),
                        cmocka_unit_test_setup(test_no_kernel, set_up),
                        cmocka_unit_test_setup(test_no_kernel_for_others, set_up),
                        cmocka_unit_test_setup(test_encrypted, set_up),
                        cmocka_unit_test_setup(test_not_encrypted, set_up),
                        cmocka_unit_test_setup(test_no_kernel_for_the_key, set_up),
                        cmocka_unit_test_setup(test_encrypted_and_no_kexec, set_up),
                        cmocka_unit_test_setup(test_waiting_goes_along, set_up),
                        cmocka_unit_test_setup(test_waiting_stays, set_up),
        };

        int r = own_machine();

        return r ?: cmocka_run_group_tests(tests, NULL, NULL);
}

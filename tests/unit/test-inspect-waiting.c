/* SPDX-License-Identifier: GPL-2.0-or-later */

/* What of the last save is not back yet: which trees, by what name and why, for whoever asks for the next
 * save. Needs root: sealed.h. */

#include "inspect/waiting.h"

#include "base/err.h"
#include "model/model.h"
#include "tests/unit/sealed.h"

#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>

static void claim(void) {
        _cleanup_(store_close) Store store = machine_store();
        _cleanup_(ticket_freep) Ticket *ticket = NULL;

        assert_int_equal(store_ticket(&store, &ticket), 0);
        assert_int_equal(store_claim(&store, ticket), 0);
}

/* As the restore notes it. */
static void has_ended(pid_t pid, Outcome__State state) {
        _cleanup_(store_close) Store store = machine_store();
        _cleanup_(ticket_freep) Ticket *ticket = NULL;
        bool ours;
        Tree *tree;

        assert_int_equal(store_claimed(&store, &ticket, &ours), 0);
        tree = (Tree *)(uintptr_t)ticket_find(ticket, fake_tree(pid)->name);
        assert_non_null(tree);
        if (!tree->outcome)
                tree->outcome = model_new(Outcome, outcome__init);
        assert_non_null(tree->outcome);
        tree->outcome->state = state;
        assert_int_equal(store_tree_done(&store, ticket->id, tree), 0);
}

static int find(Ticket **ret) {
        _cleanup_(store_close) Store store = machine_store();

        return waiting_find(&store, ret);
}

static void assert_waiting(const char *text) {
        _cleanup_(ticket_freep) Ticket *waiting = NULL;
        _cleanup_(freep) char *said = NULL;

        assert_int_equal(find(&waiting), 0);
        said = waiting_text(waiting);
        assert_string_equal(said, text);
}

/* Another process that holds the lock of the restore. */
static pid_t begin_restore(void) {
        int told[2];
        char c;
        pid_t pid;

        assert_int_equal(pipe2(told, O_CLOEXEC), 0);
        pid = fork();
        assert_true(pid >= 0);
        if (pid == 0) {
                (void)prctl(PR_SET_PDEATHSIG, SIGKILL); /* it waits for nobody where a test fails */
                if (run_lock("restore") < 0 || write(told[1], "x", 1) != 1)
                        _exit(1);
                for (;;)
                        pause();
        }
        fd_close(told[1]);
        assert_int_equal(read(told[0], &c, 1), 1);
        fd_close(told[0]);
        return pid;
}

static void restore_dies(pid_t pid) {
        assert_int_equal(kill(pid, SIGKILL), 0);
        assert_int_equal(waitpid(pid, NULL, 0), pid);
}

static void test_nothing(void **state) {
        Ticket *waiting = NULL;

        (void)state;
        (void)fresh_machine(NULL);
        assert_int_equal(find(&waiting), 1);
        assert_null(waiting);
}

static void test_sealed(void **state) {
        (void)state;
        sealed_two();
        assert_waiting("2 of the last save are not restored yet and would be carried along: pid-4000001, "
                       "pid-4000002");
        fake_fail("network_wait pid-4000001", 1, -ETIMEDOUT);
        assert_waiting("2 of the last save are not restored yet and would be carried along: "
                       "pid-4000001 (network_wait was told to fail), pid-4000002");
}

/* While it restores: what has ended, well or not, goes along no more. */
static void test_restore_runs(void **state) {
        Ticket *none = NULL;
        pid_t restore;

        (void)state;
        sealed_two();
        claim();
        restore = begin_restore();
        assert_waiting("2 of the last save are not restored yet and would be carried along: pid-4000001, "
                       "pid-4000002");
        has_ended(FIRST_PID, OUTCOME__STATE__CARRIED);
        assert_waiting("1 of the last save is not restored yet and would be carried along: pid-4000002");
        has_ended(SECOND_PID, OUTCOME__STATE__FAILED);
        assert_int_equal(find(&none), 1);
        assert_null(none);
        restore_dies(restore);
}

/* Nobody is there who would seal again what it had not begun with. */
static void test_restore_has_died(void **state) {
        Ticket *none = NULL;

        (void)state;
        sealed_two();
        claim();
        assert_int_equal(find(&none), -EEXIST);
        assert_null(none);
        assert_non_null(strstr(err_text(-EEXIST), "systemctl restart carryover-restore"));
        restore_dies(begin_restore());
        assert_int_equal(find(&none), -EEXIST);
}

static void test_store_cannot_be_read(void **state) {
        Ticket *none = NULL;
        pid_t restore;

        (void)state;
        sealed_two();
        claim();
        restore = begin_restore();
        fake_fail("store_tree_recall", 2, -EIO);
        assert_int_equal(find(&none), -EIO);
        assert_true(fake_struck());
        assert_null(none);
        restore_dies(restore);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                        cmocka_unit_test(test_nothing),
                        cmocka_unit_test(test_sealed),
                        cmocka_unit_test(test_restore_runs),
                        cmocka_unit_test(test_restore_has_died),
                        cmocka_unit_test(test_store_cannot_be_read),
        };

        int r = own_machine();

        return r ?: cmocka_run_group_tests(tests, NULL, NULL);
}

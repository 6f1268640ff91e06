/* SPDX-License-Identifier: GPL-2.0-or-later */

#include "base/cleanup.h"
#include "proc/ns.h"
#include "proc/process-tree.h"
#include "proc/procfs.h"
#include "rights/rights.h"
#include "tests/unit/init.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>

static int run_in(int pidfd, const char *script) {
        const char *const argv[] = {"sh", "-c", script, NULL};
        int status = -1;
        pid_t pid = fork(); /* entering is for good */

        assert_true(pid >= 0);
        if (pid == 0)
                _exit(ns_run(pidfd, (char *const *)argv, &status) < 0 ? 99 : status);
        assert_int_equal(waitpid(pid, &status, 0), pid);
        return WEXITSTATUS(status);
}

static void test_only_an_init_of_ours_is_entered(void **state) {
        _cleanup_(closep) int pidfd = -1;
        pid_t ours, other;

        need_root(state);
        ours = start_init("carryover-init");
        other = start_init("someone-else");
        assert_int_equal(ns_open_tree(getpid(), &pidfd), -ESRCH);
        assert_int_equal(ns_open_tree(other, &pidfd), -ESRCH);
        assert_int_equal(ns_open_tree(ours, &pidfd), 0);
        assert_int_equal(run_in(pidfd, "test \"$(cat /proc/1/comm)\" = carryover-init && exit 7"), 7);
        assert_int_equal(run_in(pidfd, "kill -TERM $$"), 128 + SIGTERM);
        kill(ours, SIGKILL);
        assert_int_equal(poll(&(struct pollfd){.fd = pidfd, .events = POLLIN}, 1, 5000), 1);
        assert_int_equal(run_in(pidfd, "exit 0"), 99);
}

static int as_a_user(void) {
        return setresuid(65534, 65534, 65534) < 0 ? -1 : unshare(CLONE_NEWUSER);
}

/* Of the host, and a user's all the same: what a setuid program has made for him. */
static int for_a_user(void) {
        return setresuid(65534, 0, 0);
}

/* It has root's number, and no more. */
static int as_a_container(void) {
        return unshare(CLONE_NEWUSER) < 0 ? -1 : file_put("/proc/self/uid_map", "0 0 1");
}

static int elsewhere(void) {
        return chroot("/usr") < 0 ? -1 : chdir("/");
}

/* Root would run programs of his. */
static void test_an_init_that_a_user_made_is_not_entered(void **state) {
        int (*const ways[])(void) = {as_a_user, for_a_user, as_a_container, elsewhere};
        _cleanup_(closep) int pidfd = -1;

        need_root(state);
        for (size_t i = 0; i < ELEMENTS(ways); i++)
                assert_int_equal(ns_open_tree(start_init_after(ways[i], "carryover-init"), &pidfd), -ESRCH);
}

static bool is_inside(int pidfd) {
        pid_t pid = fork();
        int status;

        assert_true(pid >= 0);
        if (pid == 0) {
                if (setns(pidfd, CLONE_NEWPID | CLONE_NEWNS) < 0)
                        _exit(9);
                pid = fork();
                if (pid == 0)
                        _exit(ns_is_inside() ? 0 : 1);
                waitpid(pid, &status, 0);
                _exit(WEXITSTATUS(status));
        }
        assert_int_equal(waitpid(pid, &status, 0), pid);
        return WEXITSTATUS(status) == 0;
}

static void test_a_tree_is_entered_by_who_lives_in_it(void **state) {
        pid_t init, other, child;
        int pidfd = -1;

        need_root(state);
        init = start_init("carryover-init");
        other = start_init("carryover-init");
        child = child_of(init);
        assert_int_equal(ns_open_tree_of(init, child, 2, &pidfd), 0);
        assert_int_equal(run_in(pidfd, "test -e /proc/2 && exit 7"), 7);
        assert_false(ns_is_inside());
        assert_true(is_inside(pidfd));
        close(pidfd);
        assert_int_equal(ns_open_tree_of(init, child, 3, &pidfd), -ESRCH);
        assert_int_equal(ns_open_tree_of(other, child, 2, &pidfd), -ESRCH);
        assert_int_equal(ns_open_tree_of(init, getpid(), getpid(), &pidfd), -ESRCH);
        assert_int_equal(ns_open_tree_of(getpid(), child, 2, &pidfd), -ESRCH);
}

/* What is noted of it has the numbers that it comes back with. */
static void test_own_numbers(void **state) {
        _cleanup_(own_numbers_done) OwnNumbers numbers = {0};
        _cleanup_(tree_freep) Tree *tree = model_new(Tree, tree__init);
        pid_t child;

        need_root(state);
        child = child_of(start_init("carryover-init"));
        assert_int_equal(process_own_number(child), 2);
        assert_int_equal(process_own_number(getpid()), getpid());
        assert_int_equal(process_own_number(4194305), 0);
        assert_int_equal(own_numbers_read(child, &numbers), 0);
        assert_int_equal(numbers.n, 1);
        assert_int_equal(own_numbers_here(&numbers, 2), child);
        assert_int_equal(own_numbers_here(&numbers, child), -1);
        tree->root_pid = (uint32_t)child;
        assert_int_equal(rights_note(tree), 0);
        assert_int_equal(tree->n_rights, 1);
        assert_int_equal(tree->rights[0]->n_tids, 1);
        assert_int_equal(tree->rights[0]->tids[0], 2);
        assert_int_equal(rights_check(tree, child), 0);
}

static void test_the_host_is_told_from_a_namespace(void **state) {
        pid_t pid;
        int status, here = ns_is_host();

        need_root(state);
        if (here != 1)
                skip(); /* tests that run in a namespace see nothing of this */
        pid = fork();
        assert_true(pid >= 0);
        if (pid == 0) {
                if (unshare(CLONE_NEWPID) < 0)
                        _exit(9);
                pid = fork();
                if (pid == 0)
                        _exit(ns_is_host());
                waitpid(pid, &status, 0);
                _exit(WEXITSTATUS(status));
        }
        assert_int_equal(waitpid(pid, &status, 0), pid);
        assert_int_equal(WEXITSTATUS(status), 0);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                        cmocka_unit_test_teardown(test_an_init_that_a_user_made_is_not_entered, kill_inits),
                        cmocka_unit_test_teardown(test_only_an_init_of_ours_is_entered, kill_inits),
                        cmocka_unit_test_teardown(test_a_tree_is_entered_by_who_lives_in_it, kill_inits),
                        cmocka_unit_test_teardown(test_own_numbers, kill_inits),
                        cmocka_unit_test(test_the_host_is_told_from_a_namespace),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}

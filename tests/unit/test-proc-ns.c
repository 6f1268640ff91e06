/* SPDX-License-Identifier: GPL-2.0-or-later */

#include "base/cleanup.h"
#include "proc/ns.h"
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
                        cmocka_unit_test_teardown(test_only_an_init_of_ours_is_entered, kill_inits),
                        cmocka_unit_test(test_the_host_is_told_from_a_namespace),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}

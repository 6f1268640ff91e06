/* SPDX-License-Identifier: GPL-2.0-or-later */

#include "base/cleanup.h"
#include "base/fd.h"
#include "proc/ns.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

static pid_t inits[4];
static size_t n_inits;

/* Also after a failed assertion. */
static int kill_inits(void **state) {
        (void)state;
        while (n_inits > 0)
                kill(inits[--n_inits], SIGKILL);
        return 0;
}

/* A PID 1 of this name in namespaces of its own; its number as we see it. */
static pid_t start_init(const char *name) {
        int ready[2], number[2];
        pid_t starter, init;
        char x;

        assert_int_equal(pipe2(ready, O_CLOEXEC), 0);
        assert_int_equal(pipe2(number, O_CLOEXEC), 0);
        starter = fork();
        assert_true(starter >= 0);
        if (starter == 0) {
                if (unshare(CLONE_NEWPID | CLONE_NEWNS) < 0)
                        _exit(1);
                init = fork();
                if (init == 0) {
                        prctl(PR_SET_NAME, name);
                        mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL);
                        mount("proc", "/proc", "proc", 0, NULL);
                        fd_write_all(ready[1], "x", 1);
                        pause();
                        _exit(0);
                }
                fd_write_all(number[1], &init, sizeof init);
                _exit(0);
        }
        close(ready[1]);
        close(number[1]);
        assert_int_equal(fd_read_all(number[0], &init, sizeof init), 0);
        assert_int_equal(fd_read_all(ready[0], &x, 1), 0);
        close(ready[0]);
        close(number[0]);
        waitpid(starter, NULL, 0);
        inits[n_inits++] = init;
        return init;
}

static int need_root(void **state) {
        (void)state;
        if (geteuid() != 0)
                skip();
        return 0;
}

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

/* SPDX-License-Identifier: GPL-2.0-or-later */

/* What CRIU does not put back is put back, and what a CRIU that was killed has left is ended, and nothing
 * else. */

#include "restore/process.h"

#include "base/cleanup.h"
#include "base/err.h"
#include "base/fd.h"
#include "criu/criu.h"
#include "model/model.h"
#include "proc/procfs.h"
#include "systemd/cgroup.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/ioprio.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#define SCOPE "/system.slice/carryover-pid-7.scope"

/* Real processes; where they live and what they run is made up. */
static pid_t pids[3];
static const char *cgroups[3];
static bool run_criu[3], is_inside[3];

static size_t place_of(pid_t pid) {
        size_t i = 0;

        while (i < ELEMENTS(pids) && pids[i] != pid)
                i++;
        return i;
}

int cgroup_of(pid_t pid, char **ret) {
        size_t i = place_of(pid);

        if (i == ELEMENTS(pids) || !cgroups[i])
                return -ESRCH;
        *ret = strdup(cgroups[i]);
        return *ret ? 0 : -ENOMEM;
}

pid_t process_own_number(pid_t pid) {
        size_t i = place_of(pid);

        return i < ELEMENTS(pids) && is_inside[i] ? 2 : pid;
}

bool criu_is_run_by(const char *criu, pid_t pid) {
        size_t i = place_of(pid);

        assert_string_equal(criu, "/usr/sbin/criu");
        return i < ELEMENTS(pids) && run_criu[i];
}

static int set_up(void **state) {
        Tree *tree = model_new(Tree, tree__init);

        assert_non_null(tree);
        assert_int_equal(model_set_string(&tree->name, "pid-7"), 0);
        for (size_t i = 0; i < ELEMENTS(pids); i++) {
                pids[i] = fork();
                assert_true(pids[i] >= 0);
                if (pids[i] == 0)
                        for (;;)
                                pause();
                cgroups[i] = SCOPE;
                run_criu[i] = is_inside[i] = false;
                assert_int_equal(model_append(tree->pids, tree->n_pids, (uint32_t)pids[i]), 0);
        }
        tree->root_pid = (uint32_t)pids[0];
        *state = tree;
        return 0;
}

static int tear_down(void **state) {
        model_free(*state);
        for (size_t i = 0; i < ELEMENTS(pids); i++) {
                (void)kill(pids[i], SIGKILL);
                (void)waitpid(pids[i], NULL, 0);
        }
        return 0;
}

/* Waits for the end of one that was killed. */
static bool was_killed(pid_t pid) {
        int status;

        return waitpid(pid, &status, 0) == pid && WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL;
}

static bool lives(pid_t pid) {
        return waitpid(pid, NULL, WNOHANG) == 0;
}

/* Only root may look. */
static uint64_t slack_of(pid_t pid) {
        _cleanup_(freep) char *text = NULL;
        char path[32];

        snprintf(path, sizeof path, "/proc/%d/timerslack_ns", (int)pid);
        return file_slurp(AT_FDCWD, path, 64, &text, NULL) < 0 ? 0 : strtoull(text, NULL, 10);
}

static void test_adjust(void **state) {
        Process first = PROCESS__INIT, second = PROCESS__INIT, gone = PROCESS__INIT;
        Process *processes[] = {&gone, &first, &second};
        TimerSlack slack = TIMER_SLACK__INIT, *slacks = &slack;
        uint64_t usual = slack_of(pids[1]);
        cpu_set_t all, one, has;
        int cpu = 0;

        (void)state;
        assert_int_equal(sched_getaffinity(0, sizeof all, &all), 0);
        while (!CPU_ISSET(cpu, &all))
                cpu++;
        CPU_ZERO(&one);
        CPU_SET(cpu, &one);
        first.pid = (uint32_t)pids[0];
        first.has_affinity = true;
        first.affinity = (ProtobufCBinaryData){sizeof one, (uint8_t *)&one};
        second.pid = (uint32_t)pids[1];
        second.has_ioprio = true;
        second.ioprio = IOPRIO_PRIO_VALUE(IOPRIO_CLASS_IDLE, 0);
        slack.tid = (uint32_t)pids[1];
        slack.nsec = 123456;
        second.slacks = &slacks;
        second.n_slacks = 1;
        gone = first;
        gone.pid = (uint32_t)pids[2];
        assert_int_equal(kill(pids[2], SIGKILL), 0);
        assert_true(was_killed(pids[2])); /* it has ended meanwhile */
        processes_adjust(processes, ELEMENTS(processes));
        assert_int_equal(sched_getaffinity(pids[0], sizeof has, &has), 0);
        assert_true(CPU_EQUAL(&has, &one));
        assert_int_equal(sched_getaffinity(pids[1], sizeof has, &has), 0);
        assert_true(CPU_EQUAL(&has, &all));
        assert_int_equal(syscall(SYS_ioprio_get, IOPRIO_WHO_PROCESS, pids[1]), second.ioprio);
        assert_int_not_equal(syscall(SYS_ioprio_get, IOPRIO_WHO_PROCESS, pids[0]), second.ioprio);
        if (geteuid() == 0) {
                assert_int_equal(slack_of(pids[1]), 123456);
                assert_int_equal(slack_of(pids[0]), usual);
        }
}

static void test_is_there(void **state) {
        assert_int_equal(processes_found("/usr/sbin/criu", *state), 0);
        cgroups[1] = cgroups[2] = NULL; /* they may end, or move, as any other */
        assert_int_equal(processes_found("/usr/sbin/criu", *state), 0);
        for (size_t i = 0; i < ELEMENTS(pids); i++)
                assert_true(lives(pids[i]));
}

/* Its numbers are others' by now. */
static void test_is_not_there(void **state) {
        cgroups[0] = "/system.slice/other.service";
        assert_int_equal(processes_found("/usr/sbin/criu", *state), -ESRCH);
        run_criu[0] = true; /* somebody else's CRIU */
        assert_int_equal(processes_found("/usr/sbin/criu", *state), -ESRCH);
        cgroups[0] = NULL;
        assert_int_equal(processes_found("/usr/sbin/criu", *state), -ESRCH);
        for (size_t i = 0; i < ELEMENTS(pids); i++)
                assert_true(lives(pids[i]));
}

/* One of its scope has the number on the host, and another one in a namespace; nor is it killed. */
static void test_is_inside(void **state) {
        is_inside[0] = is_inside[1] = run_criu[1] = true;
        assert_int_equal(processes_found("/usr/sbin/criu", *state), -ESRCH);
        for (size_t i = 0; i < ELEMENTS(pids); i++)
                assert_true(lives(pids[i]));
}

static void test_is_half_there(void **state) {
        run_criu[1] = run_criu[2] = true;
        assert_int_equal(processes_found("/usr/sbin/criu", *state), -ECHILD);
        assert_non_null(strstr(err_text(-ECHILD), "its partly restored processes were killed"));
        assert_true(was_killed(pids[1]) && was_killed(pids[2]));
        assert_true(lives(pids[0]));
}

int main(void) {
        const struct CMUnitTest tests[] = {
                        cmocka_unit_test_setup_teardown(test_adjust, set_up, tear_down),
                        cmocka_unit_test_setup_teardown(test_is_there, set_up, tear_down),
                        cmocka_unit_test_setup_teardown(test_is_not_there, set_up, tear_down),
                        cmocka_unit_test_setup_teardown(test_is_inside, set_up, tear_down),
                        cmocka_unit_test_setup_teardown(test_is_half_there, set_up, tear_down),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}

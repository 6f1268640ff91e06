/* SPDX-License-Identifier: GPL-2.0-or-later */

/* What ptrace(2) tells of a process that was stopped, as CRIU asks it. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/wait.h>

#include <cmocka.h>

/* The objects themselves: no ptrace of libc's may be left. */
#include "hooks/criu-rseq.c"
#include "hooks/criu-stop.c"

static volatile long word = 42;

/* Like a shell's job: a group of its own, whose parent is in the same session. */
static pid_t start_job(int signal) {
        pid_t pid = fork();
        int status;

        if (pid == 0) {
                (void)setpgid(0, 0);
                (void)raise(signal);
                _exit(0);
        }
        assert_true(pid > 0);
        assert_int_equal(waitpid(pid, &status, WUNTRACED), pid);
        assert_true(WIFSTOPPED(status) && WSTOPSIG(status) == signal);
        assert_int_equal(ptrace(PTRACE_SEIZE, pid, NULL, NULL), 0);
        assert_int_equal(ptrace(PTRACE_INTERRUPT, pid, NULL, NULL), 0);
        assert_int_equal(waitpid(pid, &status, __WALL), pid);
        return pid;
}

static void end_job(pid_t pid) {
        assert_int_equal(kill(pid, SIGKILL), 0);
        assert_int_equal(waitpid(pid, NULL, __WALL), pid);
}

static int told(int signal) {
        pid_t pid = start_job(signal);
        siginfo_t info = {0};

        assert_int_equal(ptrace(PTRACE_GETSIGINFO, pid, NULL, &info), 0);
        assert_int_equal(info.si_code >> 8, PTRACE_EVENT_STOP);
        end_job(pid);
        return info.si_signo;
}

static void test_stops(void **state) {
        (void)state;
        assert_int_equal(unsetenv("CARRYOVER_STOPS"), 0);
        assert_int_equal(told(SIGSTOP), SIGSTOP);
        assert_int_equal(told(SIGTSTP), SIGTSTP);
        assert_int_equal(told(SIGTTIN), SIGSTOP);
        assert_int_equal(told(SIGTTOU), SIGSTOP);
        assert_int_equal(setenv("CARRYOVER_STOPS", "all", 1), 0);
        assert_int_equal(told(SIGTSTP), SIGSTOP);
}

/* A signal on its way is no stop, whatever its number. */
static void test_signal(void **state) {
        siginfo_t info = {0};
        pid_t pid = fork();
        int status;

        (void)state;
        if (pid == 0)
                for (;;)
                        pause();
        assert_int_equal(setenv("CARRYOVER_STOPS", "all", 1), 0);
        assert_int_equal(ptrace(PTRACE_SEIZE, pid, NULL, NULL), 0);
        assert_int_equal(kill(pid, SIGTSTP), 0);
        assert_int_equal(waitpid(pid, &status, __WALL), pid);
        assert_int_equal(status >> 8, SIGTSTP);
        assert_int_equal(ptrace(PTRACE_GETSIGINFO, pid, NULL, &info), 0);
        assert_int_equal(info.si_signo, SIGTSTP);
        end_job(pid);
}

static void test_memory(void **state) {
        pid_t pid = start_job(SIGSTOP);
        long changed = 43;

        (void)state;
        errno = EIO;
        assert_int_equal(ptrace(PTRACE_PEEKDATA, pid, &word, NULL), 42);
        assert_int_equal(errno, 0);
        assert_int_equal(ptrace(PTRACE_POKEDATA, pid, &word, (void *)changed), 0);
        assert_int_equal(ptrace(PTRACE_PEEKDATA, pid, &word, NULL), 43);
        assert_int_equal(word, 42);
        assert_int_equal(ptrace(PTRACE_PEEKDATA, pid, NULL, NULL), -1);
        assert_int_equal(errno, EIO);
        end_job(pid);
        assert_int_equal(ptrace(PTRACE_INTERRUPT, pid, NULL, NULL), -1);
        assert_int_equal(errno, ESRCH);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                        cmocka_unit_test(test_stops),
                        cmocka_unit_test(test_signal),
                        cmocka_unit_test(test_memory),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: GPL-2.0-or-later */

/* Whoever types the command is a child at the slave of a pty, and we are its user at the master. */

#include "base/cleanup.h"
#include "base/fd.h"
#include "tty/ask.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pty.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#define QUESTION "Go on? [y/N] "
#define NO_TTY   42
#define REST     100 /* the answer, and then the shell's line was there */

static void expect(int master, const char *what) {
        char seen[256] = "";
        size_t n = 0;

        while (!strstr(seen, what)) {
                struct pollfd p = {.fd = master, .events = POLLIN};
                ssize_t got;

                assert_int_equal(poll(&p, 1, 10000), 1);
                got = read(master, seen + n, sizeof seen - 1 - n);
                assert_true(got > 0);
                n += (size_t)got;
                seen[n] = '\0';
        }
}

/* What is typed ahead is in the terminal before it asks: the user sees "ready" first. */
static _Noreturn void child(bool typed_ahead) {
        char line[16] = "";
        int r;

        (void)signal(SIGINT, SIG_DFL); /* who runs the tests may ignore them */
        (void)signal(SIGHUP, SIG_DFL);
        if (typed_ahead) {
                struct pollfd p = {.fd = STDIN_FILENO, .events = POLLIN};

                (void)fd_write_all(STDOUT_FILENO, "ready", 5);
                if (poll(&p, 1, 10000) != 1)
                        _exit(99);
        }
        r = terminal_ask(QUESTION);
        if (r == -ENOTTY)
                _exit(NO_TTY);
        if (read(STDIN_FILENO, line, sizeof line) == 5 && memcmp(line, "next\n", 5) == 0)
                _exit(REST + r);
        _exit(r);
}

static int answered(const char *ahead, const char *keys) {
        int master, status;
        pid_t pid = forkpty(&master, NULL, NULL, NULL);

        assert_true(pid >= 0);
        if (pid == 0)
                child(ahead);
        if (ahead) {
                expect(master, "ready");
                assert_int_equal(fd_write_all(master, ahead, strlen(ahead)), 0);
        }
        expect(master, QUESTION);
        if (keys) {
                assert_int_equal(fd_write_all(master, keys, strlen(keys)), 0);
                assert_int_equal(waitpid(pid, &status, 0), pid);
        }
        (void)close(master); /* hangs up who still asks */
        if (!keys)
                assert_int_equal(waitpid(pid, &status, 0), pid);
        return WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
}

static void test_answers(void **state) {
        static const struct {
                const char *keys;
                int answer;
        } cases[] = {
                        {"y\nnext\n", 1},  {"Y\nnext\n", 1},  {"yes\nnext\n", 1},
                        {"n\nnext\n", 0},  {"\nnext\n", 0},   {"yess\nnext\n", 0},
                        {"no\nnext\n", 0}, {"\004next\n", 0}, {"yes, all of it and more\nnext\n", 0},
        };

        (void)state;
        for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
                assert_int_equal(answered(NULL, cases[i].keys), REST + cases[i].answer);
}

/* A line that was typed for the shell says yes to nothing. */
static void test_typed_ahead(void **state) {
        (void)state;
        assert_int_equal(answered("yes\n", "\nnext\n"), REST + 0);
}

static void test_interrupted(void **state) {
        (void)state;
        assert_int_equal(answered(NULL, "\003"), -SIGINT);
        assert_int_equal(answered(NULL, NULL), -SIGHUP);
}

static int without(int fd) {
        int master, status;
        pid_t pid = forkpty(&master, NULL, NULL, NULL);

        assert_true(pid >= 0);
        if (pid == 0) {
                int null = open("/dev/null", O_RDWR | O_CLOEXEC);

                (void)dup2(null, fd);
                child(false);
        }
        assert_int_equal(waitpid(pid, &status, 0), pid);
        (void)close(master);
        return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static void test_no_terminal(void **state) {
        (void)state;
        assert_int_equal(without(STDIN_FILENO), NO_TTY);
        assert_int_equal(without(STDOUT_FILENO), NO_TTY);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                        cmocka_unit_test(test_answers),
                        cmocka_unit_test(test_typed_ahead),
                        cmocka_unit_test(test_interrupted),
                        cmocka_unit_test(test_no_terminal),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}

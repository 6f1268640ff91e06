/* SPDX-License-Identifier: GPL-2.0-or-later */

/* Into a tree's namespaces and out of them. The terminals are real, and so are the namespaces, which need
 * root; instead of systemd a child of ours plays the shell on the host. */

#include "enter/enter.h"

#include "base/cleanup.h"
#include "base/err.h"
#include "base/fd.h"
#include "base/text.h"
#include "systemd/bus-service.h"
#include "tests/unit/init.h"
#include "tests/unit/ticket.h"
#include "tty/terminal.h"

#include <fcntl.h>
#include <poll.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>

#define BOOT "11111111-1111-1111-1111-111111111111"

/* Which tree. */

static Tree *carried(Ticket *report, const char *name, const char *target, uint32_t init) {
        Tree *tree = sample_tree(report, name, 4000001);

        assert_int_equal(model_set_string(&tree->target, target), 0);
        tree->outcome = model_new(Outcome, outcome__init);
        assert_non_null(tree->outcome);
        tree->outcome->state = OUTCOME__STATE__CARRIED;
        tree->outcome->has_root_pid = true;
        tree->outcome->root_pid = init;
        assert_int_equal(model_set_string(&tree->outcome->mode, "namespace"), 0);
        return tree;
}

static void finds(const Ticket *report, const char *name, pid_t init) {
        pid_t found = 0;

        assert_int_equal(enter_find(report, BOOT, name, &found), 0);
        assert_int_equal(found, init);
}

static void finds_none(const Ticket *report, const char *name, int why) {
        pid_t found = 7;

        assert_int_equal(enter_find(report, BOOT, name, &found), why);
        assert_int_equal(found, 7);
}

static void test_a_tree_is_found_by_both_names(void **state) {
        _cleanup_(ticket_freep) Ticket *report = sample_ticket("aa");

        assert_int_equal(model_set_string(&report->new_boot, BOOT), 0);
        (void)carried(report, "one", "session:4", 41);
        (void)carried(report, "two", "unit:app.service", 42);
        finds(report, "one", 41);
        finds(report, "session:4", 41);
        finds(report, "two", 42);
        finds(report, "unit:app.service", 42);
        finds_none(report, "on", -ENOENT);
        finds_none(report, "", -ENOENT);
}

static void test_what_cannot_be_entered(void **state) {
        _cleanup_(ticket_freep) Ticket *report = sample_ticket("aa");
        Tree *tree = carried(report, "one", "session:4", 41);

        finds_none(NULL, "one", -ENOENT);
        finds_none(report, "one", -ENOENT); /* it was never restored */
        assert_int_equal(model_set_string(&report->new_boot, "another"), 0);
        finds_none(report, "one", -ENOENT);
        assert_int_equal(model_set_string(&report->new_boot, BOOT), 0);
        finds(report, "one", 41);
        tree->outcome->has_root_pid = false;
        finds_none(report, "one", -EINVAL);
        tree->outcome->has_root_pid = true;
        assert_int_equal(model_set_string(&tree->outcome->mode, "host"), 0);
        finds_none(report, "one", -EINVAL);
        assert_int_equal(model_set_string(&tree->outcome->mode, NULL), 0);
        finds_none(report, "one", -EINVAL);
        tree->outcome->state = OUTCOME__STATE__FAILED;
        finds_none(report, "one", -ENOENT);
        model_free(TAKE(tree->outcome));
        finds_none(report, "one", -ENOENT);
}

/* In. */

/* Entering is for good, so a child does it. Its exit status, or 99: an error. */
static int run_in(pid_t init, const char *const *command, const char *typed) {
        int in[2], status;
        pid_t pid;

        assert_int_equal(pipe2(in, O_CLOEXEC), 0);
        assert_int_equal(fd_write_all(in[1], typed, strlen(typed)), 0);
        (void)close(in[1]);
        pid = fork();
        assert_true(pid >= 0);
        if (pid == 0) {
                (void)dup2(in[0], STDIN_FILENO);
                _exit(enter_tree(init, command, &status) < 0 ? 99 : status);
        }
        (void)close(in[0]);
        assert_int_equal(waitpid(pid, &status, 0), pid);
        assert_true(WIFEXITED(status));
        return WEXITSTATUS(status);
}

static void test_a_command_runs_beside_the_tree(void **state) {
        static const char *const looks[] = {
                        "/bin/sh", "-c", "test \"$(cat /proc/1/comm)\" = carryover-init && exit $1",
                        "sh",      "7",  NULL};
        static const char *const nothing[] = {"/there/is/none", NULL}, *const none[] = {NULL};
        pid_t init;

        need_root(state);
        init = start_init("carryover-init");
        assert_int_equal(run_in(init, looks, ""), 7);
        assert_int_equal(run_in(init, nothing, ""), 127);
        assert_int_equal(run_in(init, none, "exit 9\n"), 9); /* root's shell reads it */
        assert_int_equal(run_in(start_init("someone-else"), looks, ""), 99);
}

/* Out. */

static pid_t shell;
static int shell_pidfd = -1;
static bool is_silent; /* only a hangup tells that it has ended */

/* What it was asked for, on its terminal; then what is typed, until "bye". Not the terminal's leader: of
 * what such a one wrote last the kernel may drop some. */
static _Noreturn void shell_run(const TtyServiceSpec *spec, int tty) {
        char typed[64];

        (void)dup2(tty, STDIN_FILENO);
        (void)close_range(3, ~0u, 0); /* the other end of its own terminal is among these */
        dprintf(STDIN_FILENO, "<%s %s %s %s>", spec->user, spec->slice, spec->argv0, spec->directory);
        for (size_t i = 0; spec->environment[i]; i++)
                dprintf(STDIN_FILENO, "[%s]", spec->environment[i]);
        dprintf(STDIN_FILENO, "ready.");
        while (fgets(typed, sizeof typed, stdin))
                if (strcmp(typed, "bye\n") == 0) {
                        dprintf(STDIN_FILENO, "end.");
                        _exit(5);
                }
        _exit(97);
}

int bus_tty_service_start(const TtyServiceSpec *spec, uint64_t deadline_monotonic, TtyService **ret) {
        int tty = open(spec->tty, O_RDWR | O_NOCTTY | O_CLOEXEC); /* it has its terminal when this returns */

        (void)deadline_monotonic;
        shell = tty < 0 ? -1 : fork();
        if (shell == 0)
                shell_run(spec, tty);
        (void)fd_close(tty);
        shell_pidfd = (int)syscall(SYS_pidfd_open, shell, 0);
        *ret = (TtyService *)&shell;
        return shell < 0 || shell_pidfd < 0 ? -EIO : 0;
}

TtyService *bus_tty_service_free(TtyService *service) {
        if (service)
                shell_pidfd = fd_close(shell_pidfd);
        return NULL;
}

int bus_tty_service_fd(TtyService *service) {
        (void)service;
        return is_silent ? -1 : shell_pidfd;
}

int bus_tty_service_process(TtyService *service) {
        struct pollfd ended = {.fd = shell_pidfd, .events = POLLIN};

        (void)service;
        return is_silent ? 0 : poll(&ended, 1, 0);
}

int bus_tty_service_wait(TtyService *service, uint64_t deadline_monotonic, int *ret) {
        int status;

        (void)service;
        (void)deadline_monotonic;
        if (waitpid(shell, &status, 0) != shell || !WIFEXITED(status))
                return -EIO;
        *ret = WEXITSTATUS(status);
        return 0;
}

/* Somebody types at the master of `outer`, in front of enter_host(). */
static pid_t leave(const TerminalPair *outer) {
        pid_t pid = fork();

        assert_true(pid >= 0);
        if (pid == 0) {
                int status, r;

                (void)alarm(20); /* a hang is a death, not a wait */
                (void)dup2(outer->slave, STDIN_FILENO);
                (void)dup2(outer->slave, STDOUT_FILENO);
                r = enter_host(&status);
                _exit(r < 0 ? 99 : status);
        }
        return pid;
}

/* All that it shows up to `last`. */
static void show(int master, const char *last, char *shown, size_t size) {
        size_t n = 0;

        shown[0] = '\0';
        while (!strstr(shown, last)) {
                struct pollfd p = {.fd = master, .events = POLLIN};
                ssize_t k;

                assert_int_equal(poll(&p, 1, 20000), 1);
                k = read(master, shown + n, size - 1 - n);
                assert_true(k > 0);
                n += (size_t)k;
                shown[n] = '\0';
        }
}

static int ends_with_status(pid_t pid) {
        int status;

        assert_int_equal(waitpid(pid, &status, 0), pid);
        if (!WIFEXITED(status))
                fail_msg("it hung, or died of signal %d", WTERMSIG(status));
        return WEXITSTATUS(status);
}

static void test_a_shell_on_the_host(void **state) {
        _cleanup_(terminal_pair_close) TerminalPair outer = {.master = -1, .slave = -1};
        _cleanup_(freep) char *who = NULL;
        const struct passwd *pw = getpwuid(getuid());
        char shown[1024];
        pid_t pid;

        if (!pw)
                skip();
        assert_int_equal(terminal_pair_open(-1, &outer), 0);
        (void)setenv("TERM", "xterm", 1);
        (void)setenv("SECRET", "x", 1);
        assert_int_equal(chdir("/"), 0);
        who = text_format("<%s user-%u.slice -", pw->pw_name, (unsigned)pw->pw_uid);
        assert_non_null(who);
        for (int k = 0; k < 2; k++) {
                is_silent = k == 1;
                pid = leave(&outer);
                show(outer.master, "ready.", shown, sizeof shown);
                assert_non_null(strstr(shown, who));
                assert_non_null(strstr(shown, " />"));
                assert_non_null(strstr(shown, "[TERM=xterm]"));
                assert_null(strstr(shown, "SECRET"));
                assert_int_equal(fd_write_all(outer.master, "bye\r", 4), 0);
                show(outer.master, "end.", shown, sizeof shown); /* its last words, too */
                assert_int_equal(ends_with_status(pid), 5);
        }
}

/* sudo does not make a shell of root's. */
static void test_whose_shell(void **state) {
        _cleanup_(terminal_pair_close) TerminalPair outer = {.master = -1, .slave = -1};
        char shown[1024];
        pid_t pid;

        if (!getpwuid(1)) /* daemon, on any Debian */
                skip();
        assert_int_equal(terminal_pair_open(-1, &outer), 0);
        (void)setenv("SUDO_UID", "1", 1);
        pid = leave(&outer);
        show(outer.master, "ready.", shown, sizeof shown);
        assert_non_null(strstr(shown, getpwuid(1)->pw_name));
        assert_non_null(strstr(shown, " user-1.slice "));
        assert_int_equal(fd_write_all(outer.master, "bye\r", 4), 0);
        assert_int_equal(ends_with_status(pid), 5);
        (void)setenv("SUDO_UID", "4294967295", 1);
        assert_int_equal(ends_with_status(leave(&outer)), 99);
        (void)setenv("SUDO_UID", "1 ", 1);
        assert_int_equal(ends_with_status(leave(&outer)), 99);
        (void)unsetenv("SUDO_UID");
}

static void test_no_terminal(void **state) {
        _cleanup_(closep) int null = open("/dev/null", O_RDWR | O_CLOEXEC);
        const TerminalPair outer = {.slave = null};

        assert_true(null >= 0);
        assert_int_equal(ends_with_status(leave(&outer)), 99);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                        cmocka_unit_test(test_a_tree_is_found_by_both_names),
                        cmocka_unit_test(test_what_cannot_be_entered),
                        cmocka_unit_test_teardown(test_a_command_runs_beside_the_tree, kill_inits),
                        cmocka_unit_test(test_a_shell_on_the_host),
                        cmocka_unit_test(test_whose_shell),
                        cmocka_unit_test(test_no_terminal),
        };

        (void)unsetenv("SUDO_UID");
        return cmocka_run_group_tests(tests, NULL, NULL);
}

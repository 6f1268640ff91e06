/* SPDX-License-Identifier: GPL-2.0-or-later */

/* Three parties: the user at the master of an outer terminal, the forwarder between outer slave and inner
 * master (a child), and the program at the inner slave (us again). */

#include "base/cleanup.h"
#include "base/fd.h"
#include "tty/say.h"
#include "tty/terminal.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>

#include <cmocka.h>

typedef struct Stage {
        TerminalPair outer, inner;
        int event[2];
        pid_t forwarder;
} Stage;

static int ended(void *userdata) {
        const Stage *s = userdata;
        char x;

        return read(s->event[0], &x, 1) == 1;
}

static void raw(int fd) {
        struct termios t;

        assert_int_equal(tcgetattr(fd, &t), 0);
        cfmakeraw(&t);
        assert_int_equal(tcsetattr(fd, TCSANOW, &t), 0);
}

static void stage_open(Stage *s) {
        assert_int_equal(terminal_pair_open(-1, &s->outer), 0);
        assert_int_equal(terminal_pair_open(s->outer.slave, &s->inner), 0);
        raw(s->inner.slave);
        assert_int_equal(pipe2(s->event, O_CLOEXEC | O_NONBLOCK), 0);
        s->forwarder = fork();
        assert_true(s->forwarder >= 0);
        if (s->forwarder == 0) {
                int r;

                setsid();
                ioctl(s->outer.slave, TIOCSCTTY, 0); /* so that the kernel sends SIGWINCH */
                fd_close(s->inner.slave);
                fd_close(s->event[1]);
                r = terminal_forward(s->outer.slave, s->outer.slave, s->inner.master, s->event[0], ended, s);
                _exit(r == 0 ? 0 : r == -EINTR ? 1 : 2);
        }
}

static int stage_close(Stage *s) {
        int status;

        assert_int_equal(waitpid(s->forwarder, &status, 0), s->forwarder);
        terminal_pair_close(&s->outer);
        terminal_pair_close(&s->inner);
        fd_close(s->event[0]);
        fd_close(s->event[1]);
        assert_true(WIFEXITED(status));
        return WEXITSTATUS(status);
}

static void expect(int fd, const char *text) {
        struct pollfd p = {.fd = fd, .events = POLLIN};
        char got[256] = "";
        size_t n = 0;

        while (n < strlen(text)) {
                ssize_t k;

                assert_int_equal(poll(&p, 1, 5000), 1);
                k = read(fd, got + n, strlen(text) - n);
                assert_true(k > 0);
                n += (size_t)k;
        }
        assert_string_equal(got, text);
}

static void test_bytes_go_both_ways_until_hangup(void **state) {
        struct termios before, after;
        Stage s;

        stage_open(&s);
        assert_int_equal(tcgetattr(s.outer.slave, &before), 0);
        assert_int_equal(fd_write_all(s.inner.slave, "$ ", 2), 0);
        expect(s.outer.master, "$ ");
        assert_int_equal(fd_write_all(s.outer.master, "ls\003\r", 4), 0); /* ^C is a byte like any other */
        expect(s.inner.slave, "ls\003\r");
        assert_int_equal(fd_write_all(s.inner.slave, "bye", 3), 0);
        s.inner.slave = fd_close(s.inner.slave);
        s.inner.master = fd_close(s.inner.master);
        expect(s.outer.master, "bye");
        assert_int_equal(waitid(P_PID, (id_t)s.forwarder, &(siginfo_t){0}, WEXITED | WNOWAIT), 0);
        assert_int_equal(tcgetattr(s.outer.slave, &after), 0);
        assert_int_equal(after.c_lflag & (ICANON | ECHO | ISIG), ICANON | ECHO | ISIG);
        assert_int_equal(after.c_oflag, before.c_oflag | (after.c_oflag & OPOST));
        assert_int_equal(stage_close(&s), 0);
}

static void test_the_event_ends_it_after_the_last_words(void **state) {
        Stage s;

        stage_open(&s);
        kill(s.forwarder, SIGSTOP); /* both are there when it looks */
        assert_int_equal(fd_write_all(s.inner.slave, "last", 4), 0);
        assert_int_equal(fd_write_all(s.event[1], "x", 1), 0);
        kill(s.forwarder, SIGCONT);
        expect(s.outer.master, "last");
        assert_int_equal(stage_close(&s), 0);
}

static void test_window_size_follows(void **state) {
        struct winsize want = {.ws_row = 33, .ws_col = 111}, got = {0};
        Stage s;

        stage_open(&s);
        assert_int_equal(fd_write_all(s.inner.slave, "$", 1), 0);
        expect(s.outer.master, "$"); /* it runs */
        assert_int_equal(ioctl(s.outer.master, TIOCSWINSZ, &want), 0);
        for (int i = 0; i < 5000 && got.ws_col != 111; i++) {
                /* The size has no event of its own here; each byte that went through gives the forwarder a
                 * turn. */
                assert_int_equal(fd_write_all(s.inner.slave, "$", 1), 0);
                expect(s.outer.master, "$");
                assert_int_equal(ioctl(s.inner.slave, TIOCGWINSZ, &got), 0);
        }
        assert_int_equal(got.ws_row, 33);
        assert_int_equal(got.ws_col, 111);
        kill(s.forwarder, SIGTERM);
        assert_int_equal(stage_close(&s), 1);
}

/* More than the pty takes, while its program reads nothing: output still flows. */
static void test_input_that_nobody_reads_blocks_nothing(void **state) {
        char flood[3000];
        Stage s;

        stage_open(&s);
        memset(flood, 'x', sizeof flood);
        raw(s.outer.slave);
        for (int i = 0; i < 100; i++) { /* the kernel buffers about 64 KiB of it */
                struct pollfd p = {.fd = s.outer.master, .events = POLLOUT};

                if (poll(&p, 1, 200) == 0)
                        break;
                (void)!write(s.outer.master, flood, sizeof flood);
        }
        assert_int_equal(fd_write_all(s.inner.slave, "alive", 5), 0);
        expect(s.outer.master, "alive");
        assert_int_equal(fd_write_all(s.event[1], "x", 1), 0);
        assert_int_equal(stage_close(&s), 0);
}

static void test_a_word_for_somebody_else(void **state) {
        _cleanup_(terminal_pair_close) TerminalPair pair = {.master = -1, .slave = -1};
        const char *name;

        (void)state;
        assert_int_equal(terminal_pair_open(-1, &pair), 0);
        name = pair.path + strlen("/dev/");
        raw(pair.slave);
        assert_int_equal(fchmod(pair.slave, 0620), 0);
        assert_int_equal(terminal_tell(name, "hello"), 0);
        expect(pair.master, "hello");
        assert_int_equal(fchmod(pair.slave, 0600), 0);
        assert_int_equal(terminal_tell(name, "hello"), -EACCES);
        assert_int_equal(terminal_tell("pts/../null", "hello"), -EINVAL);
        assert_int_equal(terminal_tell("tty1", "hello"), -EINVAL);
}

static TerminalLine line_for(const TerminalPair *pair, uid_t owner, const char *text) {
        TerminalLine line = {.owner = owner};

        snprintf(line.tty, sizeof line.tty, "%s", pair->path + strlen("/dev/"));
        snprintf(line.text, sizeof line.text, "%s", text);
        return line;
}

static bool has_input(int fd) {
        struct pollfd p = {.fd = fd, .events = POLLIN};

        return poll(&p, 1, 0) > 0;
}

/* As wall of root's, also to who wants no messages; and to nobody's terminal but its user's. */
static void test_lines_for_everybody(void **state) {
        _cleanup_(terminal_pair_close) TerminalPair one = {.master = -1, .slave = -1};
        _cleanup_(terminal_pair_close) TerminalPair two = {.master = -1, .slave = -1};
        TerminalLine lines[5] = {{.tty = "pts/../null", .text = "x"}, {.tty = "tty", .text = "x"}};

        (void)state;
        assert_int_equal(terminal_pair_open(-1, &one), 0);
        assert_int_equal(terminal_pair_open(-1, &two), 0);
        raw(one.slave);
        raw(two.slave);
        assert_int_equal(fchmod(one.slave, 0600), 0);
        lines[2] = line_for(&one, geteuid(), "one");
        lines[3] = line_for(&two, geteuid() + 1, "not his");
        lines[4] = line_for(&two, geteuid(), "two");
        assert_int_equal(terminals_say(lines, 5), 2);
        expect(one.master, "one");
        expect(two.master, "two");
        assert_int_equal(terminals_say(lines, 0), 0);
}

/* ^S: it is left out, and what is behind it is not. */
static void test_stopped_terminal(void **state) {
        _cleanup_(terminal_pair_close) TerminalPair stopped = {.master = -1, .slave = -1};
        _cleanup_(terminal_pair_close) TerminalPair full = {.master = -1, .slave = -1};
        _cleanup_(terminal_pair_close) TerminalPair other = {.master = -1, .slave = -1};
        TerminalLine lines[3];
        char flood[4096];

        (void)state;
        assert_int_equal(terminal_pair_open(-1, &stopped), 0);
        assert_int_equal(terminal_pair_open(-1, &full), 0);
        assert_int_equal(terminal_pair_open(-1, &other), 0);
        raw(full.slave);
        raw(other.slave);
        assert_int_equal(tcflow(stopped.slave, TCOOFF), 0);
        memset(flood, 'x', sizeof flood);
        assert_int_equal(fcntl(full.slave, F_SETFL, O_NONBLOCK), 0);
        for (struct pollfd p = {.fd = full.slave, .events = POLLOUT};
             write(full.slave, flood, sizeof flood) > 0 || poll(&p, 1, 200) > 0;)
                ;
        lines[0] = line_for(&stopped, geteuid(), "stopped");
        lines[1] = line_for(&full, geteuid(), "full");
        lines[2] = line_for(&other, geteuid(), "other");
        assert_int_equal(terminals_say(lines, 3), 1);
        expect(other.master, "other");
        assert_false(has_input(stopped.master));
}

int main(void) {
        const struct CMUnitTest tests[] = {
                        cmocka_unit_test(test_bytes_go_both_ways_until_hangup),
                        cmocka_unit_test(test_the_event_ends_it_after_the_last_words),
                        cmocka_unit_test(test_window_size_follows),
                        cmocka_unit_test(test_input_that_nobody_reads_blocks_nothing),
                        cmocka_unit_test(test_a_word_for_somebody_else),
                        cmocka_unit_test(test_lines_for_everybody),
                        cmocka_unit_test(test_stopped_terminal),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}

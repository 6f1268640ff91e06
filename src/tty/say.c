/* SPDX-License-Identifier: GPL-2.0-or-later */

#include "tty/say.h"

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/err.h"
#include "base/fd.h"
#include "base/text.h"

#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define SAY_TIME  (3 * USEC_PER_SEC) /* a machine that boots may be busy */
#define ANSWER_FD 3

static bool is_console(const char *tty) {
        size_t l = strlen(tty);

        return l > 3 && l < 16 && starts_with(tty, "tty") &&
               strspn(tty, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789") == l;
}

static int terminal_open(const char *tty, struct stat *ret_st) {
        _cleanup_(closep) int fd = -1;
        char path[64];
        uint64_t number;

        if (starts_with(tty, "pts/") && parse_u64(tty + 4, INT_MAX, &number) >= 0)
                snprintf(path, sizeof path, "/dev/pts/%d", (int)number);
        else if (is_console(tty))
                snprintf(path, sizeof path, "/dev/%.16s", tty);
        else
                return err_say(-EINVAL, "'%.32s' is not a terminal", tty);
        fd = open(path, O_WRONLY | O_NOCTTY | O_NONBLOCK | O_NOFOLLOW | O_CLOEXEC);
        if (fd < 0 || fstat(fd, ret_st) < 0)
                return err_born(-errno, "cannot open %s", path);
        if (!S_ISCHR(ret_st->st_mode) || !isatty(fd))
                return err_say(-ENOTTY, "%s is not a terminal", path);
        return TAKE_FD(fd);
}

int terminal_tell(const char *tty, const char *text) {
        _cleanup_(closep) int fd = -1;
        struct stat st;

        if (!starts_with(tty, "pts/"))
                return err_say(-EINVAL, "'%.32s' is not a pseudo terminal", tty);
        fd = terminal_open(tty, &st);
        if (fd < 0)
                return err_pass(fd);
        if (!(st.st_mode & S_IWGRP))
                return err_say(-EACCES, "/dev/%s does not accept messages (mesg n)", tty);
        if (fd_write_all(fd, text, strlen(text)) < 0)
                return err_born(-errno, "cannot write to /dev/%s", tty);
        return 0;
}

static bool say(const TerminalLine *line) {
        _cleanup_(closep) int fd = -1;
        size_t size = strnlen(line->text, sizeof line->text);
        struct stat st;

        fd = terminal_open(line->tty, &st);
        return fd >= 0 && st.st_uid == line->owner && write(fd, line->text, size) == (ssize_t)size;
}

/* In the child: with nothing open that others of us wait for the end of. */
static void say_all(const TerminalLine *lines, size_t n, int answer) {
        if (dup2(answer, ANSWER_FD) < 0 || close_range(ANSWER_FD + 1, ~0u, 0) < 0)
                _exit(1);
        for (size_t i = 0; i < n; i++)
                if (say(lines + i) && write(ANSWER_FD, "x", 1) != 1)
                        _exit(1);
        _exit(0);
}

/* Until the child has ended, or the deadline. */
static bool has_ended(int fd, uint64_t deadline, size_t *told) {
        struct pollfd p = {.fd = fd, .events = POLLIN};

        for (uint64_t now; (now = now_monotonic()) < deadline;) {
                char bytes[256];
                ssize_t n = 0;

                if (poll(&p, 1, (int)((deadline - now) / USEC_PER_MSEC) + 1) > 0)
                        n = read(fd, bytes, sizeof bytes);
                if (n > 0)
                        *told += (size_t)n;
                else if (p.revents & POLLHUP)
                        return true;
        }
        return false;
}

size_t terminals_say(const TerminalLine *lines, size_t n) {
        _cleanup_(closep) int answer = -1, child = -1;
        size_t told = 0;
        int ends[2];
        pid_t pid;

        if (n == 0 || pipe2(ends, O_CLOEXEC) < 0)
                return 0;
        answer = ends[0];
        pid = fork();
        if (pid == 0)
                say_all(lines, n, ends[1]);
        (void)fd_close(ends[1]);
        if (pid < 0)
                return 0;
        child = pidfd_open(pid, 0); /* its number may be another's as soon as it has ended */
        if (has_ended(answer, now_monotonic() + SAY_TIME, &told)) {
                (void)waitpid(pid, NULL, 0);
                return told;
        }
        if (child >= 0)
                (void)pidfd_send_signal(child, SIGKILL, NULL, 0);
        (void)waitpid(pid, NULL, WNOHANG); /* one that hangs in the kernel is nobody's to wait for */
        return told;
}

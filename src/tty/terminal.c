/* SPDX-License-Identifier: GPL-2.0-or-later */

/*
 * Towards the pty a write may not block: its line discipline takes 4 KiB, and a program that waits for us to
 * show its output before it reads more would wait for ever. So input is read only when the last input is
 * gone. Our own terminal is shared with others and stays blocking: it is drained by someone who does not
 * wait for us.
 */

#include "tty/terminal.h"

#include "base/cleanup.h"
#include "base/err.h"
#include "base/fd.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/signalfd.h>
#include <termios.h>
#include <unistd.h>

void terminal_pair_close(TerminalPair *pair) {
        pair->master = fd_close(pair->master);
        pair->slave = fd_close(pair->slave);
}

static void copy_size(int from, int to) {
        struct winsize size;

        if (ioctl(from, TIOCGWINSZ, &size) >= 0)
                (void)ioctl(to, TIOCSWINSZ, &size);
}

int terminal_pair_open(int like, TerminalPair *ret) {
        TerminalPair pair = {.master = -1, .slave = -1};
        int r = 0;

        pair.master = posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC | O_NONBLOCK);
        if (pair.master < 0)
                return err_born(-errno, "cannot open a pseudo terminal");
        if (unlockpt(pair.master) < 0 || ptsname_r(pair.master, pair.path, sizeof pair.path) != 0)
                r = err_born(-errno, "cannot unlock a pseudo terminal");
        if (r == 0) {
                pair.slave = open(pair.path, O_RDWR | O_NOCTTY | O_CLOEXEC);
                if (pair.slave < 0)
                        r = err_born(-errno, "cannot open %s", pair.path);
        }
        if (r < 0) {
                terminal_pair_close(&pair);
                return r;
        }
        copy_size(like, pair.master);
        *ret = pair;
        return 0;
}

typedef struct Forward {
        int in, out, master;
        char typed[4096]; /* read from `in`, not yet taken by the master */
        size_t from, to;
        bool in_closed;
} Forward;

/* Answer 1: the pty is hung up. */
static int show(Forward *f) {
        char bytes[4096];
        ssize_t n = read(f->master, bytes, sizeof bytes);

        if (n < 0 && (errno == EAGAIN || errno == EINTR))
                return 0;
        if (n <= 0) /* EIO: nobody has the slave open any more */
                return 1;
        return fd_write_all(f->out, bytes, (size_t)n);
}

static void take(Forward *f) {
        ssize_t n = read(f->in, f->typed, sizeof f->typed);

        f->from = 0;
        f->to = n > 0 ? (size_t)n : 0;
        f->in_closed = n == 0 || (n < 0 && errno != EINTR && errno != EAGAIN);
}

/* Answer 1: the pty is hung up. */
static int give(Forward *f) {
        ssize_t n = write(f->master, f->typed + f->from, f->to - f->from);

        if (n < 0)
                return errno == EAGAIN || errno == EINTR ? 0 : 1;
        f->from += (size_t)n;
        return 0;
}

static int on_signal(int signal_fd, int in, int master) {
        struct signalfd_siginfo info;

        if (read(signal_fd, &info, sizeof info) != sizeof info)
                return 0;
        if (info.ssi_signo != SIGWINCH)
                return err_say(-EINTR, "interrupted by signal %u", info.ssi_signo);
        copy_size(in, master);
        return 0;
}

/* Whatever was written before the end is still in the pty. */
static void drain(Forward *f) {
        struct pollfd p = {.fd = f->master, .events = POLLIN};

        while (poll(&p, 1, 0) > 0 && (p.revents & POLLIN) && show(f) == 0)
                ;
}

static int forward(Forward *f, int signal_fd, int event_fd, TerminalEvent on_event, void *userdata) {
        int r = on_event(userdata);

        while (r == 0) {
                bool typed = f->from < f->to;
                struct pollfd p[] = {
                                {.fd = f->master, .events = (short)(POLLIN | (typed ? POLLOUT : 0))},
                                {.fd = typed || f->in_closed ? -1 : f->in, .events = POLLIN},
                                {.fd = signal_fd, .events = POLLIN},
                                {.fd = event_fd, .events = POLLIN},
                };

                if (poll(p, ELEMENTS(p), -1) < 0) {
                        if (errno == EINTR)
                                continue;
                        return err_born(-errno, "cannot wait for the terminal");
                }
                if (p[0].revents & POLLOUT)
                        r = give(f);
                if (r == 0 && (p[0].revents & (POLLIN | POLLHUP | POLLERR)))
                        r = show(f);
                if (r != 0)
                        return r < 0 ? err_pass(r) : 0;
                if (p[1].revents)
                        take(f);
                if (p[2].revents)
                        r = on_signal(signal_fd, f->in, f->master);
                if (r == 0 && p[3].revents)
                        r = on_event(userdata);
        }
        if (r < 0)
                return err_pass(r);
        drain(f);
        return 0;
}

int terminal_forward(int in, int out, int master, int event_fd, TerminalEvent on_event, void *userdata) {
        Forward f = {.in = in, .out = out, .master = master};
        _cleanup_(closep) int signal_fd = -1;
        struct termios before, raw;
        sigset_t mask, old;
        int r;

        if (tcgetattr(in, &before) < 0)
                return err_born(-errno, "standard input is not a terminal");
        sigemptyset(&mask);
        sigaddset(&mask, SIGWINCH);
        sigaddset(&mask, SIGTERM);
        sigaddset(&mask, SIGHUP);
        signal_fd = signalfd(-1, &mask, SFD_CLOEXEC | SFD_NONBLOCK);
        if (signal_fd < 0)
                return err_born(-errno, "cannot wait for signals");
        raw = before;
        cfmakeraw(&raw);
        if (tcsetattr(in, TCSADRAIN, &raw) < 0)
                return err_born(-errno, "cannot put the terminal into raw mode");
        sigprocmask(SIG_BLOCK, &mask, &old);
        copy_size(in, master); /* it may have changed since the pty was opened */
        r = forward(&f, signal_fd, event_fd, on_event, userdata);
        sigprocmask(SIG_SETMASK, &old, NULL);
        (void)tcsetattr(in, TCSADRAIN, &before);
        return r < 0 ? err_pass(r) : 0;
}

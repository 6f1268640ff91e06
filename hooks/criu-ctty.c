/* SPDX-License-Identifier: GPL-2.0-or-later */

/*
 * Preloaded into CRIU while it restores, so that programs keep their controlling terminal.
 *
 * A process has one by inheriting it when it is forked, or by leading a session; there is no other way. CRIU
 * makes all processes first and gives the session's leader its terminal later, so everybody else comes back
 * without: no /dev/tty (passwords, editors, pagers), and no job control in a shell inside a shell (sudo -i).
 * CRIU is not changed for that, but two calls that it makes of libc come by here:
 *
 *   setsid()   A leader gets its terminal at once, before it forks the others. The terminal exists:
 *              whoever started CRIU ("broker") holds both its ends, and pidfd_getfd(2) takes one.
 *   openat()   Later, of ptmx, it yields the held masters in turn. CRIU asks until it sees the number
 *              that it wants (32 times).
 *
 * CARRYOVER_CTTY="BROKER HEARD LEADER:MASTER:SLAVE ...", descriptors of the broker's; src/criu/terminals.c.
 * HEARD is an eventfd. CRIU's first openat() that comes by here adds to it: the broker then knows that this
 * CRIU asks here for its terminals.
 */

#include "criu-ctty.h"

#include <fcntl.h>
#include <signal.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#define TERMINALS_MAX 31 /* with the real one, as often as CRIU tries */

typedef struct Terminal {
        pid_t leader;
        int master, slave;
} Terminal;

static Terminal terminals[TERMINALS_MAX];
static size_t n_terminals, next;
static pid_t broker;
static int heard = -1; /* -1: nobody need be told any more */

static int number(char **at, char end) {
        char *from = *at;
        long value = strtol(from, at, 10);

        if (*at == from || value < 0 || value > 1 << 30 || (**at != end && **at != '\0'))
                return -1;
        *at += **at == end;
        return (int)value;
}

__attribute__((constructor)) static void read_environment(void) {
        char *at = getenv("CARRYOVER_CTTY");

        broker = at ? number(&at, ' ') : -1;
        if (broker > 0)
                heard = number(&at, ' ');
        while (broker > 0 && *at && n_terminals < TERMINALS_MAX) {
                Terminal t = {.leader = number(&at, ':')};

                t.master = number(&at, ':');
                t.slave = number(&at, ' ');
                if (t.leader < 0 || t.master < 0 || t.slave < 0)
                        return;
                terminals[n_terminals++] = t;
        }
}

static int borrow(int fd) {
        int pidfd = (int)syscall(SYS_pidfd_open, broker, 0), copy;

        if (pidfd < 0)
                return -1;
        copy = (int)syscall(SYS_pidfd_getfd, pidfd, fd, 0);
        close(pidfd);
        return copy;
}

/* In the background, CRIU may set a terminal's modes and must not be stopped for it; the signal mask that a
 * process had is the last thing that CRIU gives back. */
static void take_terminal(const Terminal *t) {
        int fd = borrow(t->slave);
        sigset_t set;

        if (fd < 0)
                return;
        sigemptyset(&set);
        sigaddset(&set, SIGTTOU);
        sigaddset(&set, SIGTTIN);
        (void)sigprocmask(SIG_BLOCK, &set, NULL);
        (void)ioctl(fd, TIOCSCTTY, 0);
        close(fd);
}

pid_t ctty_setsid(void) {
        pid_t sid = (pid_t)syscall(SYS_setsid);

        for (size_t i = 0; sid > 0 && i < n_terminals; i++)
                if (terminals[i].leader == sid)
                        take_terminal(terminals + i);
        return sid;
}

static int open_master(int flags) {
        size_t turn = next++ % (n_terminals + 1);
        int fd = turn < n_terminals ? borrow(terminals[turn].master) : -1;

        if (fd < 0)
                return -1;
        if (fcntl(fd, F_SETFL, flags & (O_NONBLOCK | O_APPEND)) < 0 ||
            fcntl(fd, F_SETFD, flags & O_CLOEXEC ? FD_CLOEXEC : 0) < 0) {
                close(fd);
                return -1;
        }
        return fd;
}

static void tell_broker(void) {
        const uint64_t one = 1;
        int fd = heard >= 0 ? borrow(heard) : -1;

        heard = -1;
        if (fd < 0)
                return;
        (void)!write(fd, &one, sizeof one);
        close(fd);
}

int ctty_open(const char *path, int flags) {
        const char *name = strrchr(path, '/');

        tell_broker();
        return n_terminals > 0 && strcmp(name ? name + 1 : path, "ptmx") == 0 ? open_master(flags) : -1;
}

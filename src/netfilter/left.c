/* SPDX-License-Identifier: GPL-2.0-or-later */

/*
 * A guard in a process of its own. Between the end of a save and the jump, and between the early service and
 * the restore, nobody of ours runs, and a firewall service that flushes its rules would open the hold.
 *
 * Whoever takes over ends it: the process keeps its file locked, so the number in there is its own as long
 * as the lock is held. It must die of the first SIGTERM, for which systemd-shutdown waits up to 90 s; its
 * own table goes with it, the hold stays. Whatever it had open would keep the store from being unmounted.
 */

#include "netfilter/hold.h"

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/err.h"
#include "base/fd.h"
#include "base/text.h"
#include "netfilter/internal.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/pidfd.h>
#include <sys/stat.h>
#include <unistd.h>

#define GUARD_FILE "/run/carryover/guard"

/* A process that gets SIGTERM and waits for nothing ends at once. */
#define END_USEC (10 * USEC_PER_SEC)

#define LOCK_FD (STDERR_FILENO + 1)

static int guard_file(int flags) {
        int fd = open(GUARD_FILE, O_RDWR | O_CLOEXEC | O_NOFOLLOW | flags, 0600);

        return fd < 0 ? -errno : fd;
}

/* In the child. Tells the parent through `ready` when the guard stands. */
static void stay(int lock_fd, int ready_fd, HoldBackend used, const HoldSet *set) {
        const char byte = 0;
        char pid[16];
        HoldGuard *guard;
        sigset_t none;

        sigemptyset(&none);
        (void)signal(SIGTERM, SIG_DFL);
        (void)sigprocmask(SIG_SETMASK, &none, NULL);
        snprintf(pid, sizeof pid, "%d", getpid());
        if (flock(lock_fd, LOCK_EX | LOCK_NB) < 0 || ftruncate(lock_fd, 0) < 0 ||
            fd_write_all(lock_fd, pid, strlen(pid)) < 0 || hold_guard_start(used, set, &guard) != 0)
                _exit(1);
        (void)fd_write_all(ready_fd, &byte, 1);
        fd_close(ready_fd);
        for (;;)
                pause();
}

int hold_guard_leave(HoldGuard *guard, HoldBackend used, const HoldSet *set) {
        _cleanup_(closep) int lock_fd = -1, read_fd = -1, write_fd = -1;
        int ends[2];
        pid_t pid;
        char byte;

        if (used != HOLD_NFTABLES)
                return 0;
        lock_fd = guard_file(O_CREAT);
        if (lock_fd < 0)
                return err_born(lock_fd, "cannot open " GUARD_FILE);
        if (pipe2(ends, O_CLOEXEC) < 0)
                return err_born(-errno, "cannot start the background guard of the hold");
        read_fd = ends[0];
        write_fd = ends[1];
        if (guard)
                hold_guard_rest(guard);
        pid = fork();
        if (pid < 0)
                return err_born(-errno, "cannot start the background guard of the hold");
        if (pid == 0) {
                /* Two that are needed, where they are found again; everything else goes. */
                if (dup2(write_fd, STDIN_FILENO) < 0 || (lock_fd != LOCK_FD && dup2(lock_fd, LOCK_FD) < 0))
                        _exit(1);
                (void)close_range(LOCK_FD + 1, ~0u, 0);
                stay(LOCK_FD, STDIN_FILENO, used, set);
        }
        write_fd = fd_close(write_fd);
        if (read(read_fd, &byte, 1) != 1)
                return err_say(-EIO, "the background guard of the hold did not start");
        return 0;
}

int hold_guard_end(void) {
        _cleanup_(closep) int fd = guard_file(0), pidfd = -1;
        struct pollfd p = {.events = POLLIN};
        uint64_t deadline = now_monotonic() + END_USEC;
        char text[16] = "";
        pid_t pid;
        int k;

        if (fd == -ENOENT)
                return 0;
        if (fd < 0)
                return err_born(fd, "cannot open " GUARD_FILE);
        if (pread(fd, text, sizeof text - 1, 0) <= 0 || parse_pid(text, &pid) < 0)
                return 0; /* it did not come up */
        pidfd = pidfd_open(pid, 0);
        if (flock(fd, LOCK_EX | LOCK_NB) >= 0 || pidfd < 0)
                return 0; /* it is gone, and the number may be another's */
        if (pidfd_send_signal(pidfd, SIGTERM, NULL, 0) < 0 && errno != ESRCH)
                return err_born(-errno, "cannot stop the guard of the hold (process %d)", pid);
        p.fd = pidfd;
        while ((k = poll(&p, 1, deadline_ms(deadline))) <= 0)
                if (k == 0 || errno != EINTR)
                        return err_say(-ETIMEDOUT, "the guard of the hold (process %d) does not terminate",
                                       pid);
        return 0;
}

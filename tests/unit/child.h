/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/* A child that is there to be looked at. */

#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

/* It has this name, or its parent's (NULL), and waits until it is killed, without one of the descriptors
 * (-1: with all). */
static inline pid_t child_start(const char *comm, int without) {
        int ready[2];
        pid_t pid;
        char c;

        assert_int_equal(pipe2(ready, O_CLOEXEC), 0);
        pid = fork();
        assert_true(pid >= 0);
        if (pid == 0) {
                if (comm)
                        prctl(PR_SET_NAME, comm);
                prctl(PR_SET_PDEATHSIG, SIGKILL);
                if (without >= 0)
                        close(without);
                (void)!write(ready[1], "", 1);
                for (;;)
                        pause();
        }
        assert_int_equal(read(ready[0], &c, 1), 1);
        close(ready[0]);
        close(ready[1]);
        return pid;
}

static inline void child_end(pid_t pid) {
        kill(pid, SIGKILL);
        assert_int_equal(waitpid(pid, NULL, 0), pid);
}

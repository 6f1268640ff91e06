/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/* A tree's init as it stands in namespaces of its own, with a tree of one process. Needs root. */

#include "base/fd.h"

#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

static pid_t inits[4];
static size_t n_inits;

/* Also after a failed assertion. */
static int kill_inits(void **state) {
        (void)state;
        while (n_inits > 0)
                kill(inits[--n_inits], SIGKILL);
        return 0;
}

/* A PID 1 of this name in namespaces of its own, and in what `before` has left it in; its number as we see
 * it. */
static pid_t start_init_after(int (*before)(void), const char *name) {
        int ready[2], number[2];
        pid_t starter, init;
        char x;

        assert_int_equal(pipe2(ready, O_CLOEXEC), 0);
        assert_int_equal(pipe2(number, O_CLOEXEC), 0);
        starter = fork();
        assert_true(starter >= 0);
        if (starter == 0) {
                if ((before && before() < 0) || unshare(CLONE_NEWPID | CLONE_NEWNS) < 0)
                        _exit(1);
                init = fork();
                if (init == 0) {
                        prctl(PR_SET_NAME, name);
                        mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL);
                        mount("proc", "/proc", "proc", 0, NULL);
                        if (fork() == 0) /* the tree, number 2 */
                                for (;;)
                                        pause();
                        fd_write_all(ready[1], "x", 1);
                        pause();
                        _exit(0);
                }
                fd_write_all(number[1], &init, sizeof init);
                _exit(0);
        }
        close(ready[1]);
        close(number[1]);
        assert_int_equal(fd_read_all(number[0], &init, sizeof init), 0);
        assert_int_equal(fd_read_all(ready[0], &x, 1), 0);
        close(ready[0]);
        close(number[0]);
        waitpid(starter, NULL, 0);
        inits[n_inits++] = init;
        return init;
}

static inline pid_t start_init(const char *name) {
        return start_init_after(NULL, name);
}

/* The number of its child as we see it. */
static inline pid_t child_of(pid_t init) {
        char path[64];
        pid_t child = 0;
        FILE *f;

        snprintf(path, sizeof path, "/proc/%d/task/%d/children", (int)init, (int)init);
        f = fopen(path, "re");
        assert_non_null(f);
        assert_int_equal(fscanf(f, "%d", &child), 1);
        fclose(f);
        return child;
}

static int need_root(void **state) {
        (void)state;
        if (geteuid() != 0)
                skip();
        return 0;
}

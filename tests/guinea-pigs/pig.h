/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/*
 * A guinea pig has two lives. In the first it brings itself into some state and says "ready" on its standard
 * output, a file; then pig_wait() sleeps until SIGUSR1. Between the two it is saved, killed and restored, of
 * which it must not notice anything: in its second life it looks at its state and ends with "PASS", or with
 * "FAIL" and the condition that does not hold.
 *
 * Linked statically, so that a pig runs in any root directory.
 */

#include <errno.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define CHECK(condition)                                                                                    \
        do {                                                                                                \
                if (!(condition))                                                                           \
                        pig_fail(__FILE__, __LINE__, #condition);                                           \
        } while (0)

static inline _Noreturn void pig_fail(const char *file, int line, const char *condition) {
        const char *name = strrchr(file, '/');

        dprintf(STDOUT_FILENO, "FAIL %s:%d: %s (errno %d, %s)\n", name ? name + 1 : file, line, condition,
                errno, strerror(errno));
        _exit(1);
}

static inline _Noreturn void pig_pass(void) {
        dprintf(STDOUT_FILENO, "PASS\n");
        _exit(0);
}

/* First of all, so that SIGUSR1 waits until it is asked for, in every thread. */
static inline void pig_begin(void) {
        sigset_t wake;

        sigemptyset(&wake);
        sigaddset(&wake, SIGUSR1);
        CHECK(sigprocmask(SIG_BLOCK, &wake, NULL) == 0);
}

static inline void pig_wait(void) {
        sigset_t wake;
        int signal;

        sigemptyset(&wake);
        sigaddset(&wake, SIGUSR1);
        dprintf(STDOUT_FILENO, "ready\n");
        do
                signal = sigwaitinfo(&wake, NULL);
        while (signal < 0 && errno == EINTR);
        CHECK(signal == SIGUSR1);
}

static inline void pig_write(int fd, const void *data, size_t size) {
        CHECK(write(fd, data, size) == (ssize_t)size);
}

static inline void pig_read(int fd, void *data, size_t size) {
        char *p = data;

        while (size > 0) {
                ssize_t k = read(fd, p, size);

                CHECK(k > 0);
                p += k;
                size -= (size_t)k;
        }
}

/* SPDX-License-Identifier: GPL-2.0-or-later */

/* On the real devpts, with whatever else is open on it. */

#include "base/cleanup.h"
#include "base/err.h"
#include "base/fd.h"
#include "tty/pty.h"

#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <termios.h>
#include <unistd.h>

#include <cmocka.h>

#define SKIP_UNLESS(x)                                                                                      \
        do {                                                                                                \
                if (!(x))                                                                                   \
                        skip();                                                                             \
        } while (0)

static int open_master(uint32_t *ret_index) {
        unsigned index = 0;
        int fd = open("/dev/ptmx", O_RDWR | O_NOCTTY | O_CLOEXEC);

        if (fd < 0)
                return -1;
        assert_int_equal(ioctl(fd, TIOCGPTN, &index), 0);
        *ret_index = index;
        return fd;
}

static uint32_t index_of(int fd) {
        unsigned index = UINT32_MAX;

        assert_int_equal(ioctl(fd, TIOCGPTN, &index), 0);
        return index;
}

/* The lowest free index. */
static bool lowest(uint32_t *ret) {
        _cleanup_(closep) int fd = open_master(ret);

        return fd >= 0;
}

static void test_far(void **state) {
        _cleanup_(pty_reserve_freep) PtyReserve *reserve = NULL;
        _cleanup_(closep) int near_fd = -1, far_fd = -1, other_fd = -1;
        uint32_t low, index, wanted[2];

        SKIP_UNLESS(lowest(&low));
        wanted[0] = low + 70; /* farther than CRIU's 32 attempts reach */
        wanted[1] = low + 3;
        assert_int_equal(pty_reserve(wanted, 2, &reserve), 0);

        other_fd = open_master(&index);
        assert_true(index > low + 70);

        far_fd = pty_take(reserve, low + 70);
        assert_int_equal(index_of(far_fd), low + 70);
        near_fd = pty_take(reserve, low + 3);
        assert_int_equal(index_of(near_fd), low + 3);
        assert_int_equal(pty_take(reserve, low + 3), -ENOENT);
        assert_int_equal(pty_take(reserve, low + 4), -ENOENT); /* a filler is not to be had by number */

        /* whoever needs it made anew gets it at the first try */
        near_fd = fd_close(near_fd);
        near_fd = open_master(&index);
        assert_int_equal(index, low + 3);
}

static void test_taken(void **state) {
        _cleanup_(pty_reserve_freep) PtyReserve *reserve = NULL;
        _cleanup_(closep) int rival = -1, a = -1, b = -1;
        uint32_t low, spare, second;

        rival = open_master(&low);
        SKIP_UNLESS(rival >= 0);
        assert_int_equal(pty_reserve(&low, 1, &reserve), 0);
        assert_int_equal(pty_take(reserve, low), -ENOENT);

        a = pty_spare(reserve, &spare);
        assert_int_equal(index_of(a), spare);
        assert_int_not_equal(spare, low);
        b = pty_spare(reserve, &second);
        assert_int_equal(index_of(b), second);
        assert_int_not_equal(second, spare);
}

static void test_bounds(void **state) {
        _cleanup_(pty_reserve_freep) PtyReserve *reserve = NULL;
        uint32_t wanted = 1001, before, after;

        SKIP_UNLESS(lowest(&before));
        assert_int_equal(pty_reserve(&wanted, 1, &reserve), -ERANGE);
        assert_int_equal(pty_reserve(NULL, 0, &reserve), 0);
        assert_true(lowest(&after));
        assert_int_equal(after, before);
        assert_null(pty_reserve_free(NULL));
}

static void test_let_go(void **state) {
        PtyReserve *reserve = NULL;
        uint32_t low, after, wanted;

        SKIP_UNLESS(lowest(&low));
        wanted = low + 5;
        assert_int_equal(pty_reserve(&wanted, 1, &reserve), 0);
        assert_true(lowest(&after));
        assert_true(after > wanted);
        pty_reserve_free(reserve);
        assert_true(lowest(&after));
        assert_int_equal(after, low);
}

/* Each is a terminal of its own, takes no number that is wanted, and hangs up with the reserve. */
static void test_dead(void **state) {
        PtyReserve *reserve = NULL;
        _cleanup_(closep) int a = -1, b = -1;
        uint32_t low, wanted, index;
        struct termios t;
        unsigned index_a = 0, index_b = 0;
        struct stat st_a, st_b;

        SKIP_UNLESS(lowest(&low));
        wanted = low + 3;
        assert_int_equal(pty_reserve(&wanted, 1, &reserve), 0);
        a = pty_dead(reserve);
        b = pty_dead(reserve);
        assert_true(a >= 0 && b >= 0);
        assert_int_equal(fstat(a, &st_a), 0);
        assert_int_equal(fstat(b, &st_b), 0);
        index_a = minor(st_a.st_rdev);
        index_b = minor(st_b.st_rdev);
        assert_true(index_a > wanted && index_b > wanted && index_a != index_b);
        assert_int_equal(tcgetattr(a, &t), 0);

        for (int i = 0; i < 6; i++) { /* never one of these */
                _cleanup_(closep) int spare = pty_spare(reserve, &index);

                assert_true(spare >= 0);
                assert_true(index != index_a && index != index_b);
        }
        pty_reserve_free(reserve);
        assert_int_equal(tcgetattr(a, &t), -1);
}

/* Somebody else had the number that is wanted, and lets it go later: the dead terminal gets it, and stays
 * the only one that does. */
static void test_dead_is_not_taken(void **state) {
        PtyReserve *reserve = NULL;
        _cleanup_(closep) int others = -1, dead = -1;
        unsigned wanted = 0;
        struct stat st;
        uint32_t low;

        SKIP_UNLESS(lowest(&low));
        others = open("/dev/ptmx", O_RDWR | O_NOCTTY | O_CLOEXEC);
        assert_true(others >= 0);
        assert_int_equal(ioctl(others, TIOCGPTN, &wanted), 0);
        assert_int_equal(pty_reserve(&wanted, 1, &reserve), 0);
        assert_int_equal(pty_take(reserve, wanted), -ENOENT);
        others = fd_close(others);
        dead = pty_dead(reserve);
        assert_true(dead >= 0);
        assert_int_equal(fstat(dead, &st), 0);
        if (minor(st.st_rdev) == wanted) /* unless a third one was faster */
                assert_int_equal(pty_take(reserve, wanted), -ENOENT);
        pty_reserve_free(reserve);
}

#define THREADS 4u
#define EACH    8u

typedef struct Taker {
        PtyReserve *reserve;
        uint32_t first;
        int fds[2 * EACH]; /* wanted ones and spares */
} Taker;

static void *take_some(void *userdata) {
        Taker *t = userdata;
        uint32_t index;

        for (size_t i = 0; i < EACH; i++) {
                t->fds[2 * i] = pty_take(t->reserve, t->first + (uint32_t)i);
                t->fds[2 * i + 1] = pty_spare(t->reserve, &index);
        }
        return NULL;
}

/* Trees are restored side by side: each thread has its own, and nobody another's. */
static void test_threads(void **state) {
        _cleanup_(pty_reserve_freep) PtyReserve *reserve = NULL;
        uint32_t low, wanted[THREADS * EACH];
        bool seen[PTY_INDEX_MAX + 1] = {false};
        Taker takers[THREADS];
        pthread_t threads[THREADS];

        SKIP_UNLESS(lowest(&low));
        for (uint32_t i = 0; i < THREADS * EACH; i++)
                wanted[i] = low + i;
        assert_int_equal(pty_reserve(wanted, THREADS * EACH, &reserve), 0);
        for (uint32_t i = 0; i < THREADS; i++) {
                takers[i] = (Taker){.reserve = reserve, .first = low + i * EACH};
                assert_int_equal(pthread_create(threads + i, NULL, take_some, takers + i), 0);
        }
        for (size_t i = 0; i < THREADS; i++)
                assert_int_equal(pthread_join(threads[i], NULL), 0);
        for (size_t i = 0; i < THREADS; i++)
                for (size_t k = 0; k < 2 * EACH; k++) {
                        uint32_t index = index_of(takers[i].fds[k]);

                        assert_false(seen[index]);
                        seen[index] = true;
                        if (k % 2 == 0)
                                assert_int_equal(index, takers[i].first + k / 2);
                        close(takers[i].fds[k]);
                }
}

int main(void) {
        const struct CMUnitTest tests[] = {
                        cmocka_unit_test(test_far),     cmocka_unit_test(test_taken),
                        cmocka_unit_test(test_bounds),  cmocka_unit_test(test_let_go),
                        cmocka_unit_test(test_dead),    cmocka_unit_test(test_dead_is_not_taken),
                        cmocka_unit_test(test_threads),
        };

        if (geteuid() != 0) {
                printf("skipped: needs root for a devpts of its own\n");
                return 77;
        }
        /* Numbers are handed out machine-wide, and others open terminals while we count. */
        if (unshare(CLONE_NEWNS) < 0 || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0 ||
            mount("devpts", "/dev/pts", "devpts", 0, "newinstance,ptmxmode=0666") < 0 ||
            mount("/dev/pts/ptmx", "/dev/ptmx", NULL, MS_BIND, NULL) < 0) {
                perror("cannot make a devpts of the test's own");
                return 1;
        }
        return cmocka_run_group_tests(tests, NULL, NULL);
}

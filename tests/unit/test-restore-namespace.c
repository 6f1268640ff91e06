/* SPDX-License-Identifier: GPL-2.0-or-later */

/* The wait for carryover-init has an end, whatever becomes of it. */

#include "../../src/restore/namespace.c"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

typedef struct Pipe {
        int near, far;
} Pipe;

static Pipe pipe_new(void) {
        int pair[2];

        assert_int_equal(pipe2(pair, O_CLOEXEC), 0);
        return (Pipe){pair[0], pair[1]};
}

static uint64_t soon(void) {
        return now_monotonic() + 50 * USEC_PER_MSEC;
}

static void tell(const Pipe *p, uint32_t host_pid, const char *error) {
        InitAnswer a = INIT_ANSWER__INIT;

        a.has_host_pid = host_pid > 0;
        a.host_pid = host_pid;
        a.error = (char *)error;
        a.has_code = error != NULL;
        a.code = -EEXIST;
        assert_int_equal(init_answer_write(p->far, &a), 0);
}

static void test_silence(void **state) {
        Pipe p = pipe_new();
        pid_t pid;

        assert_int_equal(wait_for_answers(p.near, soon(), &pid), -ETIMEDOUT);
        assert_int_equal(pid, 0);
        tell(&p, 77, NULL);
        assert_int_equal(wait_for_answers(p.near, soon(), &pid), -ETIMEDOUT);
        assert_int_equal(pid, 77); /* known, to be killed */
        close(p.far);
        assert_int_equal(wait_for_answers(p.near, soon(), &pid), -EIO);
        close(p.near);
}

static void test_answers(void **state) {
        Pipe p = pipe_new();
        pid_t pid;

        tell(&p, 0, NULL); /* either may come first */
        tell(&p, 77, NULL);
        assert_int_equal(wait_for_answers(p.near, soon(), &pid), 0);
        assert_int_equal(pid, 77);
        tell(&p, 77, NULL);
        tell(&p, 0, "a number is taken");
        assert_int_equal(wait_for_answers(p.near, soon(), &pid), -EEXIST);
        tell(&p, 0, "a number is taken");
        tell(&p, 77, NULL);
        assert_int_equal(wait_for_answers(p.near, soon(), &pid), -EEXIST);
        assert_int_equal(pid, 77);
        tell(&p, 0, NULL);
        tell(&p, 1, NULL);
        assert_int_equal(wait_for_answers(p.near, soon(), &pid), -EBADMSG);
        close(p.near);
        close(p.far);
}

/* It has told that it failed, and has not ended yet. */
static void test_end(void **state) {
        pid_t starter = fork(), init;

        assert_true(starter >= 0);
        if (starter == 0)
                _exit(0);
        init = fork();
        assert_true(init >= 0);
        if (init == 0)
                for (;;)
                        pause();
        assert_true(init_end(starter, init));
        assert_int_equal(waitpid(init, NULL, WNOHANG), init);
        assert_true(init_end(starter, 0));
        assert_int_equal(waitpid(starter, NULL, 0), starter);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                        cmocka_unit_test(test_silence),
                        cmocka_unit_test(test_answers),
                        cmocka_unit_test(test_end),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}

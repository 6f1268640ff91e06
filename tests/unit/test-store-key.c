/* SPDX-License-Identifier: GPL-2.0-or-later */

/* In a user namespace, whose root has keys of his own: those of the machine are left alone. */

#include "base/fd.h"
#include "store/key.h"

#include <linux/keyctl.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

static void test_life(void **state) {
        uint8_t first[BOX_KEY], second[BOX_KEY], found[BOX_KEY];

        assert_int_equal(store_key_find(found), 1);
        assert_int_equal(store_key_forget(), 0);
        assert_int_equal(store_key_draw(first), 0);
        assert_int_equal(store_key_draw(second), 0); /* one at a time */
        assert_memory_equal(first, second, BOX_KEY);
        assert_int_equal(store_key_forget(), 0);
        assert_int_equal(store_key_find(found), 1);
        assert_int_equal(store_key_draw(second), 0);
        assert_memory_not_equal(first, second, BOX_KEY);
        assert_int_equal(store_key_put(first), 0);
        assert_int_equal(store_key_find(found), 0);
        assert_memory_equal(first, found, BOX_KEY);
}

/* As from service to service: other process, other session keyring, and who drew it has ended. */
static void test_other_process(void **state) {
        uint8_t found[BOX_KEY];
        int status;
        pid_t pid;

        assert_int_equal(store_key_forget(), 0);
        pid = fork();
        if (pid == 0)
                _exit(store_key_draw(found) < 0);
        assert_int_equal(waitpid(pid, &status, 0), pid);
        assert_int_equal(status, 0);
        assert_int_equal(store_key_find(found), 0);
        assert_int_equal(store_key_forget(), 0);
}

static void test_mark(void **state) {
        static const uint8_t one[BOX_KEY] = {1}, two[BOX_KEY] = {2};
        uint8_t a[DIGEST_SIZE], b[DIGEST_SIZE];

        assert_int_equal(store_key_mark(one, a), 0);
        assert_int_equal(store_key_mark(one, b), 0);
        assert_memory_equal(a, b, sizeof a);
        assert_memory_not_equal(a, one, sizeof a);
        assert_int_equal(store_key_mark(two, b), 0);
        assert_memory_not_equal(a, b, sizeof a);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                        cmocka_unit_test(test_life),
                        cmocka_unit_test(test_other_process),
                        cmocka_unit_test(test_mark),
        };

        if (geteuid() != 0 || unshare(CLONE_NEWUSER) < 0 || file_put("/proc/self/uid_map", "0 0 1") < 0) {
                printf("skipped: needs root and user namespaces\n");
                return 77;
        }
        /* as a service of systemd's, whose own does not lead to the user's */
        assert_true(syscall(SYS_keyctl, KEYCTL_JOIN_SESSION_KEYRING, NULL) > 0);
        return cmocka_run_group_tests(tests, NULL, NULL);
}

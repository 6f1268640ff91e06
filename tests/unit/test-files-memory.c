/* SPDX-License-Identifier: GPL-2.0-or-later */

#include "base/cleanup.h"
#include "base/fd.h"
#include "files/memory.h"

#include <fcntl.h>
#include <linux/magic.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <unistd.h>

#include <cmocka.h>

static void test_directory(void **state) {
        _cleanup_(closep) int one = memory_directory(), two = memory_directory(), again = -1;
        _cleanup_(freep) char *before = NULL, *after = NULL;
        char link[32];
        struct statfs fs;
        struct stat a, b;

        assert_true(one >= 0 && two >= 0);
        assert_int_equal(fstatfs(one, &fs), 0);
        assert_true(fs.f_type == RAMFS_MAGIC || fs.f_type == TMPFS_MAGIC);
        assert_int_equal(fstat(one, &a), 0);
        assert_int_equal(fstat(two, &b), 0);
        assert_int_equal(a.st_mode & 07777, 0700);
        assert_true(a.st_dev != b.st_dev);

        /* as CRIU opens it, and works in it */
        assert_int_equal(file_replace(one, "core-1.img", "x", 1), 0);
        snprintf(link, sizeof link, "/proc/self/fd/%d", one);
        again = open(link, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        assert_int_equal(faccessat(again, "core-1.img", F_OK, 0), 0);
        assert_int_equal(file_replace(again, "core-2.img", "x", 1), 0);
        assert_int_equal(faccessat(two, "core-1.img", F_OK, 0), -1);

        /* nobody sees it who has no descriptor */
        assert_int_equal(file_slurp(AT_FDCWD, "/proc/self/mountinfo", 1 << 20, &before, NULL), 0);
        two = fd_close(two);
        assert_int_equal(file_slurp(AT_FDCWD, "/proc/self/mountinfo", 1 << 20, &after, NULL), 0);
        assert_string_equal(before, after);
}

static void test_available(void **state) {
        uint64_t bytes = 0;

        assert_int_equal(memory_available(&bytes), 0);
        assert_true(bytes > 1 << 20);
        assert_true(bytes <= (uint64_t)sysconf(_SC_PHYS_PAGES) * (uint64_t)sysconf(_SC_PAGESIZE));
}

int main(void) {
        const struct CMUnitTest tests[] = {
                        cmocka_unit_test(test_directory),
                        cmocka_unit_test(test_available),
        };

        if (geteuid() != 0) {
                printf("skipped: needs root to mount\n");
                return 77;
        }
        return cmocka_run_group_tests(tests, NULL, NULL);
}

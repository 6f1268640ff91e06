/* SPDX-License-Identifier: GPL-2.0-or-later */

/* The machine's own limit, raised and put back; only where that is allowed. */

#include "base/cleanup.h"
#include "base/fd.h"
#include "kernel/hugepages.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cmocka.h>

#define LIMIT "/sys/kernel/mm/hugepages/hugepages-2048kB/nr_overcommit_hugepages"

static long limit(void) {
        _cleanup_(freep) char *text = NULL;

        assert_int_equal(file_slurp(AT_FDCWD, LIMIT, 64, &text, NULL), 0);
        return strtol(text, NULL, 10);
}

static void test_limit(void **state) {
        long before;

        (void)state;
        if (access(LIMIT, W_OK) < 0)
                skip();
        before = limit();
        if (hugepages_allow(2 << 20, 6 << 20) == -EROFS)
                skip();
        assert_int_equal(limit(), before + 3);
        assert_int_equal(hugepages_allow(2 << 20, 2 << 20), 0);
        assert_int_equal(limit(), before + 4);
        assert_int_equal(hugepages_allow(2 << 20, -(8 << 20)), 0);
        assert_int_equal(limit(), before);
        if (before == 0) { /* never below none */
                assert_int_equal(hugepages_allow(2 << 20, -(8 << 20)), 0);
                assert_int_equal(limit(), 0);
        }
}

/* The pages of a tree that came back first are no reason to refuse those of the next one. */
static void test_next_tree(void **state) {
        const size_t size = 2 << 20;
        void *maps[2];

        (void)state;
        if (access(LIMIT, W_OK) < 0 || hugepages_allow(size, 0) == -EROFS)
                skip();
        for (size_t i = 0; i < 2; i++) {
                long before = limit();

                assert_int_equal(hugepages_allow(size, (int64_t)size), 0);
                maps[i] = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_HUGETLB,
                               -1, 0);
                assert_int_equal(hugepages_allow(size, -(int64_t)size), 0);
                assert_int_equal(limit(), before);
        }
        assert_true(maps[0] != MAP_FAILED);
        assert_true(maps[1] != MAP_FAILED);
        munmap(maps[0], size);
        munmap(maps[1], size);
}

static void test_impossible(void **state) {
        (void)state;
        assert_int_equal(hugepages_allow(2 << 20, 4096), -EINVAL);
        assert_int_equal(hugepages_allow(512, 512), -EINVAL);
        assert_int_equal(hugepages_allow(8192, 8192), -ENOENT);
}

static void test_setting(void **state) {
        (void)state;
        assert_int_equal(hugepages_setting("# vm.nr_hugepages = 9\nvm.swappiness = 3\n"), 0);
        assert_int_equal(hugepages_setting("x=1\n  vm.nr_hugepages = 64\n"), 64);
        assert_int_equal(hugepages_setting("-vm/nr_hugepages=32"), 32);
        assert_int_equal(hugepages_setting("vm.nr_hugepages_mempolicy=32\n"), 0);
        assert_int_equal(hugepages_setting(""), 0);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                        cmocka_unit_test(test_setting),
                        cmocka_unit_test(test_limit),
                        cmocka_unit_test(test_next_tree),
                        cmocka_unit_test(test_impossible),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}

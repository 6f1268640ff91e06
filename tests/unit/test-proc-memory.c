/* SPDX-License-Identifier: GPL-2.0-or-later */

/* This process, as another would look at its memory. */

#include "base/cleanup.h"
#include "proc/process-tree.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cmocka.h>

#define PAGES 4

static void test_read(void **state) {
        static const char text[] = "in memory";
        char copy[sizeof text];

        (void)state;
        assert_int_equal(process_read(getpid(), (uintptr_t)text, copy, sizeof copy), 0);
        assert_string_equal(copy, text);
        assert_int_equal(process_read(getpid(), 16, copy, sizeof copy), -EFAULT);
}

static void test_wiped(void **state) {
        size_t page = (size_t)sysconf(_SC_PAGESIZE), n, found = 0;
        char *memory = mmap(NULL, PAGES * page, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        _cleanup_(freep) ProcessRange *ranges = NULL;

        (void)state;
        assert_ptr_not_equal(memory, MAP_FAILED);
        assert_int_equal(madvise(memory + page, page, MADV_WIPEONFORK), 0);
        assert_int_equal(process_wiped(getpid(), &ranges, &n), 0);
        for (size_t i = 0; i < n; i++)
                found += ranges[i].from == (uintptr_t)memory + page && ranges[i].to == ranges[i].from + page;
        assert_int_equal(found, 1);
        for (size_t i = 0; i < n; i++)
                assert_true(ranges[i].to <= (uintptr_t)memory || ranges[i].from >= (uintptr_t)memory + page);
        assert_int_equal(munmap(memory, PAGES * page), 0);
}

static void test_nobody(void **state) {
        _cleanup_(freep) ProcessRange *ranges = NULL;
        size_t n = 1;

        (void)state;
        assert_int_equal(process_wiped(4194305, &ranges, &n), 0);
        assert_int_equal(n, 0);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                        cmocka_unit_test(test_read),
                        cmocka_unit_test(test_wiped),
                        cmocka_unit_test(test_nobody),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: GPL-2.0-or-later */

/* The machine's own pool, made larger and put back; only where that is allowed. */

#include "base/cleanup.h"
#include "base/fd.h"
#include "kernel/hugepages.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cmocka.h>

#define POOL "/sys/kernel/mm/hugepages/hugepages-2048kB"

/* Another run of this test waits. -1: the pool cannot be changed. */
static int alone(HugePool *ret) {
        int fd = open(POOL, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

        if (fd < 0 || flock(fd, LOCK_EX) < 0 || hugepages_look(ret) < 0 || hugepages_set(ret->pages) < 0)
                return fd_close(fd);
        return fd;
}

/* Who has a page keeps it when the pool is put back, and it is counted where it is then. */
static void test_pool(void **state) {
        const size_t size = HUGE_PAGE;
        HugePool before, now;
        _cleanup_(closep) int fd = alone(&before);
        char *map;

        (void)state;
        if (fd < 0)
                skip();
        assert_int_equal(hugepages_set(before.pages + before.surplus + 2), 0);
        assert_int_equal(hugepages_look(&now), 0);
        assert_int_equal(now.pages, before.pages + before.surplus + 2);
        assert_int_equal(now.surplus, 0);
        assert_int_equal(now.free, before.free + 2);
        map = mmap(NULL, 2 * size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_HUGETLB, -1, 0);
        assert_true(map != MAP_FAILED);
        map[0] = 'x'; /* and the other one is promised */
        assert_int_equal(hugepages_look(&now), 0);
        assert_int_equal(now.free, before.free);
        assert_int_equal(hugepages_set(before.pages), 0);
        assert_int_equal(hugepages_look(&now), 0);
        assert_int_equal(now.pages, before.pages);
        assert_int_equal(now.surplus, before.surplus + 2);
        map[size] = 'y';
        assert_int_equal(map[0], 'x');
        munmap(map, 2 * size);
        assert_int_equal(hugepages_look(&now), 0);
        assert_int_equal(now.surplus, before.surplus);
}

static void test_share(void **state) {
        uint64_t memory = (uint64_t)sysconf(_SC_PHYS_PAGES) * (uint64_t)sysconf(_SC_PAGESIZE);

        (void)state;
        assert_in_range(hugepages_share() * HUGE_PAGE, memory / 4 - 2 * HUGE_PAGE, memory / 4 + HUGE_PAGE);
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
                        cmocka_unit_test(test_pool),
                        cmocka_unit_test(test_share),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}

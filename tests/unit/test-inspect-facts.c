/* SPDX-License-Identifier: GPL-2.0-or-later */

/* What of the store a save may use. Needs root: the store has a file system of the test's own. */

#include "base/cleanup.h"
#include "base/fd.h"
#include "inspect/facts.h"
#include "store/room.h"
#include "tests/unit/own-run.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#define MIB (UINT64_C(1) << 20)

static void put(const Store *store, const char *path, uint64_t size) {
        _cleanup_(closep) int fd = openat(store->fd, path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);

        assert_true(fd >= 0);
        assert_int_equal(posix_fallocate(fd, 0, (off_t)size), 0);
}

/* At a fifth used by others, 90 % of the whole would fill the disk; and what failed takes its part. */
static void test_room(void **state) {
        Config config = {.max_use.percent = 90, .max_use_per_user.percent = 50, .store = "/run/store"};
        PreflightFacts f = {0};
        Store store;

        (void)state;
        assert_int_equal(mkdir("/run/store", 0700), 0);
        assert_int_equal(mount("tmpfs", "/run/store", "tmpfs", 0, "size=100m,mode=0700"), 0);
        assert_int_equal(store_open(&config, &store), 0);
        assert_int_equal(make_dirs("/run/store/failed/id/tree", 0700), 0);
        put(&store, "failed/id/tree/pages-1.img", 10 * MIB);
        assert_int_equal(facts_room(&config, &store, &f), 0);
        assert_true(f.max_use <= 80 * MIB && f.max_use > 79 * MIB);
        assert_true(f.max_use_per_user == 50 * MIB);
        assert_true(f.store_free <= 85 * MIB && f.store_free > 84 * MIB);
        put(&store, "failed/id/tree/pages-2.img", 89 * MIB);
        assert_int_equal(facts_room(&config, &store, &f), 0);
        assert_true(f.max_use == 0 && f.store_free == 0);
        store_close(&store);
}

/* Whoever only looks makes nothing, and knows where it would be. */
static void test_look(void **state) {
        Config config = {.max_use.percent = 90, .store = "/run/disk/new/store"};
        PreflightFacts f = {0};
        Store store;

        (void)state;
        assert_int_equal(mkdir("/run/disk", 0755), 0);
        assert_int_equal(mount("tmpfs", "/run/disk", "tmpfs", 0, "size=100m"), 0);
        assert_int_equal(make_dirs("/run/disk/failed/id/tree", 0700), 0);
        assert_int_equal(store_look(&config, &store), 1);
        put(&store, "failed/id/tree/pages-1.img", 10 * MIB); /* somebody else's */
        assert_int_equal(facts_room(&config, &store, &f), 0);
        assert_true(f.max_use == 90 * MIB && f.store_free > 80 * MIB);
        assert_int_equal(store_lasts(&store), -EOPNOTSUPP);
        store_close(&store);
        assert_int_equal(access("/run/disk/new", F_OK), -1);

        assert_int_equal(make_dirs(config.store, 0755), 0);
        assert_int_equal(store_look(&config, &store), -EPERM);
        assert_int_equal(chmod(config.store, 0700), 0);
        assert_int_equal(store_look(&config, &store), 0);
        assert_false(store.absent);
        store_close(&store);
        snprintf(config.store, sizeof config.store, "/proc/version/store");
        assert_int_equal(store_look(&config, &store), -ENOTDIR);
        snprintf(config.store, sizeof config.store, "/nowhere");
        assert_int_equal(store_look(&config, &store), 1);
        store_close(&store);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                        cmocka_unit_test(test_room),
                        cmocka_unit_test(test_look),
        };

        int r = own_run();

        return r ?: cmocka_run_group_tests(tests, NULL, NULL);
}

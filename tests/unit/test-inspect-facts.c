/* SPDX-License-Identifier: GPL-2.0-or-later */

/* What of the store a save may use, and what a look at the machine reads beside /proc. Needs root: the store
 * has a file system of the test's own. */

#include "base/cleanup.h"
#include "base/err.h"
#include "base/fd.h"
#include "inspect/containers.h"
#include "inspect/facts.h"
#include "model/container.h"
#include "store/room.h"
#include "tests/unit/own-run.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
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
        snprintf(config.store, sizeof config.store, "/nowhere/at/all/");
        assert_int_equal(store_look(&config, &store), 1);
        store_close(&store);
}

#define ID "0112233445566778899aabbccddeeff00112233445566778899aabbccddeeff" /* behind a first digit */

static void docker_says(char first, const char *text) {
        _cleanup_(closep) int dir = -1;
        char path[256];

        snprintf(path, sizeof path, "/run/root/var/lib/docker/containers/%c" ID, first);
        dir = open_dirs(path, 0700);
        assert_true(dir >= 0);
        assert_int_equal(file_replace(dir, "config.v2.json", text, strlen(text)), 0);
}

static void assert_called(const Snapshot *s, size_t i, const char *name) {
        char found[CONTAINER_NAME_MAX];

        assert_true(container_named(s, s->processes + i, found));
        assert_string_equal(found, name);
}

/* docker's own word for its containers; what is not one is not believed, and the id has to do. */
static void test_containers(void **state) {
        static const char *const cgroups[] = {
                        "/system.slice/docker-0" ID ".scope",
                        "/docker/1" ID "/init",
                        "/system.slice/docker-2" ID ".scope",
                        "/system.slice/docker-3" ID ".scope",
                        "/system.slice/docker-4" ID ".scope",
                        "/system.slice/docker-5" ID ".scope",
                        "/system.slice/docker-60" ID ".scope",
                        "/system.slice/docker-0" ID ".scope/init",
                        "/machine.slice/libpod-1" ID ".scope",
                        "/system.slice/docker-7" ID "x.scope",
                        "/user.slice/user-1000.slice/docker-1.service",
        };
        static const char *const called[] = {
                        "docker web_1.x-y",    "docker shop",         "docker 201122334455",
                        "docker 301122334455", "docker 401122334455", "docker 501122334455",
                        "docker 600112233445", "docker web_1.x-y",    "podman 101122334455",
                        "docker 701122334455",
        };
        static const char huge[] = "{\"Name\":\"/large\"}";
        size_t n = (1u << 20) + 64;
        _cleanup_(snapshot_freep) Snapshot *s = calloc(1, sizeof *s);
        _cleanup_(freep) char *large = calloc(1, n + 1);

        (void)state;
        assert_true(s && large);
        s->n_processes = ELEMENTS(cgroups) + 1;
        s->processes = calloc(s->n_processes, sizeof *s->processes);
        assert_non_null(s->processes);
        for (size_t i = 0; i < ELEMENTS(cgroups); i++)
                assert_non_null(s->processes[i].cgroup = strdup(cgroups[i]));
        memset(large, ' ', n);
        memcpy(large, huge, sizeof huge - 1);
        docker_says('0', "{\"State\":{\"Pid\":7},\"Name\":\"/web_1.x-y\"}");
        docker_says('1', "{\"Name\":\"/shop\"}");
        docker_says('2', "{\"Name\":\"/xy\\u001b[2J\"}");
        docker_says('3', "{\"Name\":7}");
        docker_says('4', large);
        docker_says('7', "{\"Name\":\"/another\"}");
        docker_says('6', "{\"Name\":\"/another\"}");
        assert_int_equal(containers_name("/run/root", s), 0);
        for (size_t i = 0; i < ELEMENTS(called); i++)
                assert_called(s, i, called[i]);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                        cmocka_unit_test(test_room),
                        cmocka_unit_test(test_look),
                        cmocka_unit_test(test_containers),
        };

        int r = own_run();

        return r ?: cmocka_run_group_tests(tests, NULL, NULL);
}

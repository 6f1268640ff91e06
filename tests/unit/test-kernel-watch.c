/* SPDX-License-Identifier: GPL-2.0-or-later */

/* What is told of a watch: of a file in memory its path, and of all else nothing, whatever stands in the
 * line. */

#include "kernel/watch.h"

#include "base/cleanup.h"
#include "base/fd.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/mman.h>
#include <sys/vfs.h>
#include <unistd.h>

#include <cmocka.h>

typedef struct World {
        Mounts mounts;
        char **paths;
        size_t n, steps;
        int inotify;
} World;

static World world;

static void step(void) {
        world.steps++;
}

static int set_up(void **state) {
        (void)state;
        world = (World){.inotify = inotify_init1(IN_CLOEXEC)};
        return world.inotify < 0 ? -1 : mounts_read(&world.mounts);
}

static int tear_down(void **state) {
        (void)state;
        for (size_t i = 0; i < world.n; i++)
                free(world.paths[i]);
        free(world.paths);
        mounts_done(&world.mounts);
        return close(world.inotify);
}

static int look_within(WatchRoom *left) {
        char path[48];
        int fd;

        snprintf(path, sizeof path, "/proc/self/fdinfo/%d", world.inotify);
        fd = open(path, O_RDONLY | O_CLOEXEC);
        assert_true(fd >= 0);
        return watches_read(fd, &world.mounts, left, step, &world.paths, &world.n);
}

static int look(size_t most) {
        WatchRoom left = {most, SIZE_MAX};

        return look_within(&left);
}

static void watch(const char *path) {
        assert_true(inotify_add_watch(world.inotify, path, IN_MODIFY) >= 0);
}

/* Nobody has it open. */
static void make(char *path) {
        int fd = mkstemp(path);

        assert_true(fd >= 0);
        close(fd);
}

static void test_watches(void **state) {
        char memory[] = "/dev/shm/carryover-watch-XXXXXX", tmp[] = "/tmp/carryover-watch-XXXXXX",
             gone[] = "/dev/shm/carryover-watch-XXXXXX";
        WatchRoom left;
        size_t n;
        struct statfs fs;

        (void)state;
        if (geteuid() != 0 || statfs("/dev/shm", &fs) < 0 || fs.f_type != TMPFS_MAGIC)
                skip();
        make(memory);
        make(tmp);
        make(gone);
        watch("/dev/shm"); /* a directory is made anew */
        watch("/proc/self/exe");
        watch(memory);
        watch(tmp);
        assert_int_equal(look(4), 0);
        assert_int_equal(world.steps, 4);
        assert_int_equal(world.n, 2); /* the newest comes first */
        assert_string_equal(world.paths[0], tmp);
        assert_string_equal(world.paths[1], memory);
        /* By another descriptor of the same instance they are seen once more. */
        left = (WatchRoom){7, SIZE_MAX};
        assert_int_equal(look_within(&left), 0);
        assert_int_equal(look_within(&left), -E2BIG);
        left = (WatchRoom){100, 3 * sizeof tmp + 1};
        assert_int_equal(look_within(&left), 0);
        assert_int_equal(look_within(&left), -E2BIG);
        watch(gone);
        assert_int_equal(unlink(gone), 0);
        assert_int_equal(unlink(tmp), 0);
        assert_int_equal(unlink(memory), 0);
        n = world.n;
        assert_int_equal(look(2), 0); /* they are not watched any more */
        assert_int_equal(world.n, n);
        assert_int_equal(look(1), -E2BIG);
}

/* The lines are the kernel's, but what stands in a handle is a file system's. */
static void test_lines(void **state) {
        static const char *const lines[] = {
                        "inotify \n",
                        "inotify wd:1 ino:1 sdev:1 mask:1\n",
                        "inotify sdev:ffffffffff fhandle-bytes:8 fhandle-type:1 f_handle:0000000000000000\n",
                        "inotify sdev:1 fhandle-bytes:81 fhandle-type:1 f_handle:00\n",
                        "inotify sdev:1 fhandle-bytes:0 fhandle-type:1 f_handle:\n",
                        "inotify sdev:1 fhandle-bytes:8 fhandle-type:ffffffff f_handle:0000000000000000\n",
                        "inotify sdev:1 fhandle-bytes:8 fhandle-type:1 f_handle:000000000000000\n",
                        "inotify sdev:1 fhandle-bytes:8 fhandle-type:1 f_handle:00000000000000\377\377\n",
                        "inotify sdev:1 fhandle-bytes:8 fhandle-type:1 f_handle:",
        };

        (void)state;
        for (size_t i = 0; i < ELEMENTS(lines); i++) {
                int fd = memfd_create("lines", MFD_CLOEXEC);
                WatchRoom one = {1, SIZE_MAX};

                assert_int_equal(fd_write_all(fd, lines[i], strlen(lines[i])), 0);
                assert_int_equal(lseek(fd, 0, SEEK_SET), 0);
                assert_int_equal(watches_read(fd, &world.mounts, &one, step, &world.paths, &world.n), 0);
                assert_int_equal(world.n, 0);
        }
        assert_int_equal(world.steps, ELEMENTS(lines));
}

int main(void) {
        const struct CMUnitTest tests[] = {
                        cmocka_unit_test_setup_teardown(test_watches, set_up, tear_down),
                        cmocka_unit_test_setup_teardown(test_lines, set_up, tear_down),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}

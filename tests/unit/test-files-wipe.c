/* SPDX-License-Identifier: GPL-2.0-or-later */

/* What is gone is looked at by a descriptor that was opened before. */

#include "base/cleanup.h"
#include "base/err.h"
#include "base/fd.h"
#include "files/wipe.h"
#include "model/box.h"
#include "model/model.h"
#include "store/store.h"
#include "store/sweep.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#define MARK "a secret of the session"

/* In a directory that is on a disk nearly everywhere; in memory there is less to see. */
static Store fresh(char path[static 256]) {
        Config config = {0};
        Store store;

        strcpy(config.store, "/var/tmp/test-wipe-XXXXXX");
        assert_non_null(mkdtemp(config.store));
        assert_int_equal(store_open(&config, &store), 0);
        strcpy(path, config.store);
        return store;
}

static void end(Store *store, const char *path) {
        store_close(store);
        assert_int_equal(file_remove_tree(AT_FDCWD, path), 0);
}

static int put(int dir_fd, const char *name, off_t behind) {
        int fd = openat(dir_fd, name, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);

        assert_true(fd >= 0);
        assert_int_equal(pwrite(fd, MARK, sizeof MARK, 0), sizeof MARK);
        assert_int_equal(pwrite(fd, MARK, sizeof MARK, behind), sizeof MARK);
        assert_int_equal(fsync(fd), 0);
        return fd;
}

static bool holds(int fd, off_t at) {
        char bytes[sizeof MARK];

        assert_int_equal(pread(fd, bytes, sizeof bytes, at), sizeof bytes);
        return memcmp(bytes, MARK, sizeof MARK) == 0;
}

static bool is_zero(int fd, off_t at) {
        static const char zeros[sizeof MARK];
        char bytes[sizeof MARK];

        assert_int_equal(pread(fd, bytes, sizeof bytes, at), sizeof bytes);
        return memcmp(bytes, zeros, sizeof zeros) == 0;
}

#define FAR (40 << 20)

static void test_file(void **state) {
        char path[256];
        Store store = fresh(path);
        _cleanup_(closep) int fd = put(store.fd, "pages-1.img", FAR), stop = eventfd(1, EFD_CLOEXEC);
        struct stat before, after;

        assert_int_equal(wipe_file(store.fd, "pages-1.img", UINT64_MAX, stop), 1);
        assert_int_equal(wipe_file(store.fd, "pages-1.img", 0, -1), -ETIMEDOUT);
        assert_true(holds(fd, 0) && holds(fd, FAR));
        assert_int_equal(fstat(fd, &before), 0);
        assert_int_equal(wipe_file(store.fd, "pages-1.img", UINT64_MAX, -1), 0);
        assert_true(is_zero(fd, 0) && is_zero(fd, FAR));
        assert_int_equal(fstat(fd, &after), 0);
        assert_int_equal(after.st_size, before.st_size);
        assert_int_equal(after.st_blocks, before.st_blocks);

        assert_int_equal(symlinkat("pages-1.img", store.fd, "link.img"), 0);
        assert_int_equal(wipe_file(store.fd, "link.img", UINT64_MAX, -1), -ELOOP);
        end(&store, path);
}

static int sealed_box(int dir_fd, const char *name) {
        static const uint8_t key[BOX_KEY] = {7};
        _cleanup_(closep) int from = memfd_with("x", MARK, sizeof MARK);
        int fd = openat(dir_fd, name, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);

        assert_int_equal(box_seal(key, name, from, fd), 0);
        return fd;
}

/* Twice, so that the first place in gone/ is taken. */
static void test_images_of_trees(void **state) {
        char path[256];
        Store store = fresh(path);
        _cleanup_(closep) int stop = eventfd(1, EFD_CLOEXEC), box = -1;
        int fds[3], tree = store_tree_create(&store, "session-4");

        fds[0] = put(tree, "pages-1.img", 5000);
        assert_int_equal(store_tree_empty(&store, "session-4"), 0);
        fds[1] = put(tree, "pages-1.img", 5000);
        box = sealed_box(tree, "core-1.img");
        assert_int_equal(store_tree_discard(&store, "session-4"), 0);
        tree = fd_close(tree);
        tree = store_tree_create(&store, "session-5");
        fds[2] = put(tree, "pages-1.img", 5000);
        assert_int_equal(store_tree_remove(&store, "session-5"), 0);
        assert_int_equal(faccessat(store.fd, "save/session-5", F_OK, 0), -1);

        assert_int_equal(store_wipe(&store, stop), wipe_reaches(store.fd));
        if (wipe_reaches(store.fd))
                assert_int_equal(faccessat(store.fd, "gone/session-4.0/pages-1.img", F_OK, 0), 0);
        assert_int_equal(store_wipe(&store, -1), 0);
        for (size_t i = 0; i < ELEMENTS(fds); i++) {
                assert_true(wipe_reaches(store.fd) ? is_zero(fds[i], 0) && is_zero(fds[i], 5000)
                                                   : holds(fds[i], 0));
                fds[i] = fd_close(fds[i]);
        }
        assert_true(box_is(box));
        assert_int_equal(faccessat(store.fd, "gone", F_OK, 0), -1);
        fd_close(tree);
        end(&store, path);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                        cmocka_unit_test(test_file),
                        cmocka_unit_test(test_images_of_trees),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}

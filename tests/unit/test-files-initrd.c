/* SPDX-License-Identifier: GPL-2.0-or-later */

/* Chains of archives as initramfs-tools and dracut make them. */

#include "base/cleanup.h"
#include "base/err.h"
#include "base/fd.h"
#include "files/initrd.h"
#include "kernel/kexec.h"

#include <archive.h>
#include <archive_entry.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

static char path[] = "/tmp/carryover-test-XXXXXX";
static int fd = -1;

static int setup(void **state) {
        strcpy(path, "/tmp/carryover-test-XXXXXX");
        fd = mkstemp(path);
        return fd < 0 ? -1 : 0;
}

static int teardown(void **state) {
        close(fd);
        return unlink(path);
}

static void add(const void *data, size_t size) {
        assert_int_equal(fd_write_all(fd, data, size), 0);
}

static void add_plain(const char *name) {
        _cleanup_(freep) void *data = NULL;
        size_t size;

        assert_int_equal(initrd_cpio_with(name, "12345", 5, &data, &size), 0);
        add(data, size);
}

static void add_packed(const char *name, int filter) {
        struct archive *a = archive_write_new();
        struct archive_entry *e = archive_entry_new();
        char buffer[16384];
        size_t used = 0;

        archive_write_add_filter(a, filter);
        archive_write_set_format_cpio_newc(a);
        assert_int_equal(archive_write_open_memory(a, buffer, sizeof buffer, &used), ARCHIVE_OK);
        archive_entry_set_pathname(e, name);
        archive_entry_set_mode(e, S_IFREG | 0755);
        archive_entry_set_size(e, 3);
        assert_int_equal(archive_write_header(a, e), ARCHIVE_OK);
        assert_int_equal(archive_write_data(a, "abc", 3), 3);
        archive_entry_free(e);
        assert_int_equal(archive_write_close(a), ARCHIVE_OK);
        archive_write_free(a);
        add(buffer, used);
}

static void test_plain(void **state) {
        add_plain("kernel/x86/microcode/GenuineIntel.bin");
        add("\0\0\0\0\0\0\0", 7);
        add("\0", 1);
        add_plain("usr/lib/carryover/carryover-early");
        assert_int_equal(initrd_contains(path, "carryover-early"), 1);
        assert_int_equal(initrd_contains(path, "GenuineIntel.bin"), 1);
        assert_int_equal(initrd_contains(path, "early"), 0);
        assert_int_equal(initrd_contains(path, "carryover"), 1); /* the directory */
}

static void test_packed(void **state) {
        static const int filters[] = {ARCHIVE_FILTER_ZSTD, ARCHIVE_FILTER_GZIP, ARCHIVE_FILTER_XZ,
                                      ARCHIVE_FILTER_LZ4};

        for (size_t i = 0; i < ELEMENTS(filters); i++) {
                assert_int_equal(ftruncate(fd, 0), 0);
                assert_int_equal(lseek(fd, 0, SEEK_SET), 0);
                add_plain("kernel/x86/microcode/AuthenticAMD.bin");
                add_packed("usr/lib/carryover/carryover-early", filters[i]);
                assert_int_equal(initrd_contains(path, "carryover-early"), 1);
                assert_int_equal(initrd_contains(path, "carryover-late"), 0);
        }
}

static void test_damaged(void **state) {
        assert_int_equal(initrd_contains(path, "carryover-early"), 0);
        add_plain("a/carryover-earl");
        assert_int_equal(initrd_contains(path, "carryover-early"), 0);
        add("07", 2);
        assert_int_equal(initrd_contains(path, "carryover-early"), -EBADMSG);
        assert_int_equal(ftruncate(fd, 300), 0);
        assert_int_equal(initrd_contains(path, "carryover-early"), -EBADMSG);
        assert_int_equal(ftruncate(fd, 0), 0);
        assert_int_equal(lseek(fd, 0, SEEK_SET), 0);
        add("this is no archive, and it is not packed in any way that we know", 64);
        assert_int_equal(initrd_contains(path, "carryover-early"), -EBADMSG);
        assert_non_null(strstr(err_text(-EBADMSG), path));
        assert_int_equal(initrd_contains("/nonexistent", "x"), -ENOENT);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                        cmocka_unit_test_setup_teardown(test_plain, setup, teardown),
                        cmocka_unit_test_setup_teardown(test_packed, setup, teardown),
                        cmocka_unit_test_setup_teardown(test_damaged, setup, teardown),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}

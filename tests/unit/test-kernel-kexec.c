/* SPDX-License-Identifier: GPL-2.0-or-later */

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
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

static void line(const char *running, const char *append, const char *expected) {
        _cleanup_(freep) char *got = NULL;

        assert_int_equal(kernel_cmdline(running, append, &got), 0);
        assert_string_equal(got, expected);
}

static void test_cmdline(void **state) {
        char longest[2049];
        char *got = NULL;

        line("BOOT_IMAGE=/boot/vmlinuz-6.1 root=/dev/vda ro quiet\n", NULL, "root=/dev/vda ro quiet");
        line("initrd=\\initrd.img root=LABEL=x kexec_jump_back_entry=0x1 elfcorehdr=0x2", "single",
             "root=LABEL=x single");
        line("a=\"BOOT_IMAGE=x y\" b", "c=\"d e\"", "a=\"BOOT_IMAGE=x y\" b c=\"d e\"");
        line("root=x -- 3", "quiet", "root=x quiet -- 3");
        line("root=x carryover=off", NULL, "root=x");
        line("root=x carryover=official initrd_x=1", "carryover=off",
             "root=x carryover=official initrd_x=1 carryover=off");
        line("", NULL, "");
        line("  ", "x", "x");

        assert_int_equal(kernel_cmdline("a", "b\nc", &got), -EINVAL);
        memset(longest, 'x', sizeof longest);
        longest[2047] = '\0';
        assert_int_equal(kernel_cmdline(longest, NULL, &got), 0);
        free(got);
        got = NULL;
        assert_int_equal(kernel_cmdline(longest, "y", &got), -E2BIG);
        longest[2047] = 'x';
        longest[2048] = '\0';
        assert_int_equal(kernel_cmdline(longest, NULL, &got), -E2BIG);
        assert_null(got);
}

static void test_cpio(void **state) {
        _cleanup_(freep) char *data = malloc(100001);
        _cleanup_(freep) void *packed = NULL;
        struct archive *a = archive_read_new();
        struct archive_entry *e;
        char back[16];
        size_t size;

        memset(data, 'z', 100001);
        assert_int_equal(initrd_cpio_with("carryover/early", data, 100001, &packed, &size), 0);
        assert_memory_equal(packed, "070701", 6);
        assert_int_equal(size % 4, 0);

        archive_read_support_format_cpio(a);
        assert_int_equal(archive_read_open_memory(a, packed, size), ARCHIVE_OK);
        assert_int_equal(archive_read_next_header(a, &e), ARCHIVE_OK);
        assert_string_equal(archive_entry_pathname(e), "carryover");
        assert_int_equal(archive_entry_mode(e), S_IFDIR | 0700);
        assert_int_equal(archive_read_next_header(a, &e), ARCHIVE_OK);
        assert_string_equal(archive_entry_pathname(e), "carryover/early");
        assert_int_equal(archive_entry_mode(e), S_IFREG | 0600);
        assert_int_equal(archive_entry_size(e), 100001);
        assert_int_equal(archive_entry_uid(e), 0);
        assert_int_equal(archive_read_data(a, back, sizeof back), sizeof back);
        assert_memory_equal(back, data, sizeof back);
        assert_int_equal(archive_read_next_header(a, &e), ARCHIVE_EOF);
        archive_read_free(a);
}

/* Needs no kexec: both files are wrong before the kernel is asked. */
static void test_load_refuses(void **state) {
        Kernel k = {.version = "0",
                    .image = "/nonexistent/vmlinuz-0",
                    .initrd = "/nonexistent/initrd.img-0"};

        assert_int_equal(kexec_load_kernel(&k, NULL, 0, ""), -ENOENT);
        assert_non_null(strstr(err_text(-ENOENT), "/nonexistent/vmlinuz-0"));
        strcpy(k.image, "/dev/null");
        assert_int_equal(kexec_load_kernel(&k, "x", 1, ""), -ENOENT);
        assert_non_null(strstr(err_text(-ENOENT), "/nonexistent/initrd.img-0"));
}

int main(void) {
        const struct CMUnitTest tests[] = {
                        cmocka_unit_test(test_cmdline),
                        cmocka_unit_test(test_cpio),
                        cmocka_unit_test(test_load_refuses),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}

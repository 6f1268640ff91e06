/* SPDX-License-Identifier: GPL-2.0-or-later */

#include "kernel/installed.h"

#include "base/err.h"
#include "base/fd.h"
#include "tests/unit/made.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

static char root[32];

static void less(const char *a, const char *b) {
        if (kernel_version_compare(a, b) >= 0 || kernel_version_compare(b, a) <= 0)
                fail_msg("%s is not below %s", a, b);
}

static void test_versions(void **state) {
        less("6.1.0-9-amd64", "6.1.0-37-amd64");
        less("6.1.0-37-amd64", "6.1.0-37-cloud-amd64");
        less("6.1.0-37-cloud-amd64", "6.12.43+deb12-cloud-amd64");
        less("6.12~rc3-amd64", "6.12-amd64");
        less("6.12-rc7-amd64", "6.12.1-amd64");
        less("6.1.0", "6.1.0a");
        less("1.0", "1.0.0");
        less("", "0.1");
        less("5.10.0-0.deb10.16-amd64", "5.10.0-16-amd64");
        assert_int_equal(kernel_version_compare("6.01", "6.1"), 0);
        assert_int_equal(kernel_version_compare("6.1.0-37-amd64", "6.1.0-37-amd64"), 0);
        /* digits beyond any integer */
        less("1.99999999999999999999998", "1.99999999999999999999999");
}

static void put(const char *path, const char *text) {
        char directory[256];

        snprintf(directory, sizeof directory, "%s%s", root, path);
        *strrchr(directory, '/') = '\0';
        make_file(directory, strrchr(path, '/') + 1, text);
}

static void finds(const char *version, const char *image, const char *initrd) {
        Kernel k = {0};

        assert_int_equal(kernel_find(root, NULL, &k), 0);
        assert_string_equal(k.version, version);
        assert_string_equal(k.image + strlen(root), image);
        assert_string_equal(k.initrd + strlen(root), initrd);
}

static void test_find(void **state) {
        Kernel k = {0};

        assert_int_equal(kernel_find(root, NULL, &k), -ENOENT);
        put("/boot/vmlinuz-6.1.0-9-amd64", "k");
        put("/boot/initrd.img-6.1.0-9-amd64", "i");
        put("/boot/vmlinuz-6.1.0-37-cloud-amd64", "k");
        put("/boot/initrd.img-6.1.0-37-cloud-amd64", "i");
        put("/boot/vmlinuz-6.12.1-amd64", "k"); /* not yet configured */
        put("/boot/vmlinuz-7.0-amd64.dpkg-new", "k");
        put("/boot/initrd.img-7.0-amd64.dpkg-new", "i");
        put("/boot/vmlinuz-8.0-amd64.old", "k");
        put("/boot/initrd.img-8.0-amd64.old", "i");
        put("/boot/vmlinuz-9.0", "");
        put("/boot/vmlinuz-rescue", "k");

        assert_int_equal(kernel_find(root, NULL, &k), 0);
        assert_string_equal(k.version, "6.1.0-37-cloud-amd64");
        assert_string_equal(k.initrd + strlen(root), "/boot/initrd.img-6.1.0-37-cloud-amd64");
        assert_int_equal(kernel_find(root, "6.1.0-9-amd64", &k), 0);
        assert_string_equal(k.version, "6.1.0-9-amd64");

        assert_int_equal(kernel_find(root, "6.12.1-amd64", &k), -ENOENT);
        assert_non_null(strstr(err_text(-ENOENT), "update-initramfs -c -k 6.12.1-amd64'"));
        assert_int_equal(kernel_find(root, "5.0", &k), -ENOENT);
        assert_non_null(strstr(err_text(-ENOENT), "6.1.0-9-amd64"));
        assert_int_equal(kernel_find(root, "../6.1.0-9-amd64", &k), -ENOENT);
        assert_string_equal(k.version, "6.1.0-9-amd64");
}

/* Fedora and openSUSE keep the image in /boot, too; their dracut names the initrd otherwise. */
static void test_dracut_names(void **state) {
        put("/boot/vmlinuz-6.11.4-301.fc41.x86_64", "k");
        put("/boot/initramfs-6.11.4-301.fc41.x86_64.img", "i");
        put("/boot/vmlinuz-0-rescue-7bd5", "k");
        put("/boot/initramfs-0-rescue-7bd5.img", "i");
        finds("6.11.4-301.fc41.x86_64", "/boot/vmlinuz-6.11.4-301.fc41.x86_64",
              "/boot/initramfs-6.11.4-301.fc41.x86_64.img");
        put("/boot/vmlinuz-6.12.0-1-default", "k");
        put("/boot/initrd-6.12.0-1-default", "i");
        finds("6.12.0-1-default", "/boot/vmlinuz-6.12.0-1-default", "/boot/initrd-6.12.0-1-default");
}

/* Arch Linux: names in /boot are those of packages, the version is where the modules are. */
static void test_modules(void **state) {
        put("/boot/vmlinuz-linux", "k");
        put("/boot/initramfs-linux.img", "i");
        put("/usr/lib/modules/6.12.1-arch1-1/vmlinuz", "k");
        put("/usr/lib/modules/6.12.1-arch1-1/pkgbase", "linux\n");
        finds("6.12.1-arch1-1", "/usr/lib/modules/6.12.1-arch1-1/vmlinuz", "/boot/initramfs-linux.img");
        put("/usr/lib/modules/6.13.0-hostile/vmlinuz", "k");
        put("/usr/lib/modules/6.13.0-hostile/pkgbase", "../boot/linux\n");
        finds("6.12.1-arch1-1", "/usr/lib/modules/6.12.1-arch1-1/vmlinuz", "/boot/initramfs-linux.img");
}

#define ID "/3f1c0d2b"

/* kernel-install's layout on an EFI partition, with its entries. */
static void test_entries(void **state) {
        put("/usr/lib/modules/6.12.1/modules.dep", "");
        put("/efi" ID "/6.12.1/linux", "k");
        put("/efi" ID "/6.12.1/initrd", "i");
        put("/efi/intel-ucode.img", "u");
        put("/efi/loader/entries/3f1c0d2b-6.12.1+3.conf",
            "title Debian\n# x\nversion\t 6.12.1\nlinux " ID "/6.12.1/linux\ninitrd /intel-ucode.img\n"
            "initrd  " ID "/6.12.1/initrd $tuned_initrd\noptions root=/dev/vda\n");
        finds("6.12.1", "/efi" ID "/6.12.1/linux", "/efi" ID "/6.12.1/initrd");

        /* Another system's, without modules here; and what is no entry. */
        put("/efi/6.99/linux", "k");
        put("/efi/6.99/initrd", "i");
        put("/efi/loader/entries/other.conf", "version 6.99\nlinux /6.99/linux\ninitrd /6.99/initrd\n");
        finds("6.12.1", "/efi" ID "/6.12.1/linux", "/efi" ID "/6.12.1/initrd");
        put("/usr/lib/modules/6.99/modules.dep", "");
        put("/efi/loader/entries/other.conf",
            "version 6.99\nlinux /../efi/6.99/linux\ninitrd 6.99/initrd\n");
        put("/efi/loader/entries/old.conf.bak", "version 6.99\nlinux /6.99/linux\ninitrd /6.99/initrd\n");
        put("/efi/loader/entries/long.conf", "version 6.99\nlinux\nversion\ninitrd\n");
        finds("6.12.1", "/efi" ID "/6.12.1/linux", "/efi" ID "/6.12.1/initrd");
        put("/efi/loader/entries/other.conf", "version 6.99\nlinux /6.99/linux\ninitrd /6.99/initrd\n");
        finds("6.99", "/efi/6.99/linux", "/efi/6.99/initrd");
}

/* The package leaves the image, kernel-install's entry has the initrd. */
static void test_mixed(void **state) {
        put("/usr/lib/modules/6.12.1/vmlinuz", "k");
        put("/boot" ID "/6.12.1/linux", "k");
        put("/boot" ID "/6.12.1/initrd", "i");
        put("/boot/loader/entries/a.conf",
            "version 6.12.1\nlinux " ID "/6.12.1/linux\ninitrd " ID "/6.12.1/initrd\n");
        finds("6.12.1", "/usr/lib/modules/6.12.1/vmlinuz", "/boot" ID "/6.12.1/initrd");
}

/* An automount without its disk, or a loop of links: whatever cannot be opened there. */
static void test_unreadable(void **state) {
        char path[64], to[64];
        Kernel k = {0};

        snprintf(path, sizeof path, "%s/efi", root);
        assert_int_equal(symlink("efi", path), 0);
        assert_int_equal(kernel_find(root, NULL, &k), -ENOENT);
        assert_non_null(strstr(err_text(-ENOENT), "available: none; cannot look for kernels in /tmp/"));
        assert_non_null(strstr(err_text(-ENOENT), "/efi/loader/entries: Too many levels of symbolic links"));
        put("/boot/vmlinuz-6.1", "k");
        assert_int_equal(kernel_find(root, "6.1", &k), -ENOENT);
        assert_non_null(strstr(err_text(-ENOENT), "--kver 6.1'); cannot look for kernels in /tmp/"));
        assert_int_equal(kernel_find(root, "6.2", &k), -ENOENT);
        assert_non_null(strstr(err_text(-ENOENT), "(no initrd); cannot look for kernels in /tmp/"));
        put("/boot/initrd.img-6.1", "i");
        finds("6.1", "/boot/vmlinuz-6.1", "/boot/initrd.img-6.1");
        /* what lies behind it counts */
        put("/usr/lib/modules/6.2/modules.dep", "");
        put("/boot/efi/linux", "k");
        put("/boot/efi/initrd", "i");
        put("/boot/efi/loader/entries/a.conf", "version 6.2\nlinux /linux\ninitrd /initrd\n");
        finds("6.2", "/boot/efi/linux", "/boot/efi/initrd");
        /* where nearly all systems have them */
        snprintf(path, sizeof path, "%s/boot", root);
        snprintf(to, sizeof to, "%s/elsewhere", root);
        assert_int_equal(rename(path, to), 0);
        assert_int_equal(symlink("boot", path), 0);
        assert_int_equal(kernel_find(root, NULL, &k), -ELOOP);
}

static void test_too_many(void **state) {
        char path[64];
        Kernel k;

        for (unsigned i = 0; i < 100; i++) {
                snprintf(path, sizeof path, "/boot/vmlinuz-6.%u", i);
                put(path, "k");
                snprintf(path, sizeof path, "/boot/initrd.img-6.%u", i);
                put(path, "i");
        }
        assert_int_equal(kernel_find(root, NULL, &k), 0);
        assert_true(strlen(k.initrd) > strlen(root));
}

static int setup(void **state) {
        strcpy(root, "/tmp/carryover-test-XXXXXX");
        return mkdtemp(root) ? 0 : -1;
}

static int teardown(void **state) {
        return file_remove_tree(AT_FDCWD, root);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void) {
        const struct CMUnitTest tests[] = {
                        TEST(test_versions), TEST(test_find),  TEST(test_dracut_names), TEST(test_modules),
                        TEST(test_entries),  TEST(test_mixed), TEST(test_unreadable),   TEST(test_too_many),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}

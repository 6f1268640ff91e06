/* SPDX-License-Identifier: GPL-2.0-or-later */

/* What is looked at before a jump, and what the next kernel is given. */

#include "jump/jump.h"

#include "base/cleanup.h"
#include "base/err.h"
#include "files/initrd.h"
#include "model/codec.h"
#include "tests/fakes/machine.h"

#include <sys/stat.h>

static Kernel kernel;

/* A module directory of the test's own, and an initrd with this file in it. */
static int set_up(void **state) {
        (void)fresh_machine(state);
        kernel = (Kernel){.version = FAKE_NEXT, .initrd = "/run/initrd.img"};
        assert_int_equal(make_dirs("/usr/lib/modules/" FAKE_NEXT, 0755), 0);
        return 0;
}

static void put(const char *path, const void *data, size_t size) {
        int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

        assert_true(fd >= 0);
        assert_int_equal(fd_write_all(fd, data, size), 0);
        (void)fd_close(fd);
}

static void put_initrd(const char *file) {
        _cleanup_(freep) void *data = NULL;
        size_t size;

        assert_int_equal(initrd_cpio_with(file, "x", 1, &data, &size), 0);
        put(kernel.initrd, data, size);
}

static void test_check(void **state) {
        int r;

        (void)state;
        put_initrd("usr/bin/" INITRD_PROGRAM);
        (void)unlink("/usr/lib/modules/" FAKE_NEXT "/modules.dep");
        r = jump_check(&kernel);
        assert_int_equal(r, -ENOENT);
        assert_non_null(strstr(err_text(r), "apt-get install --reinstall linux-image-" FAKE_NEXT));
        put("/usr/lib/modules/" FAKE_NEXT "/modules.dep", "", 0);
        assert_int_equal(jump_check(&kernel), 0);
        put_initrd("usr/bin/another");
        r = jump_check(&kernel);
        assert_int_equal(r, -EXDEV);
        assert_non_null(strstr(err_text(r), "update-initramfs -u -k " FAKE_NEXT));
        put(kernel.initrd, "070701", 6);
        assert_int_equal(jump_check(&kernel), -EBADMSG);
}

static void test_load(void **state) {
        Early early = EARLY__INIT;

        (void)state;
        early.ticket_id = (char *)"aa";
        early.max_pid = 4711;
        early.hold_backend = (char *)"auto";
        assert_int_equal(jump_load(&kernel, "one two=3", &early), 0);
        assert_true(fake->loaded);
        assert_non_null(strstr(fake->loaded_cmdline, "one two=3"));
        fake->loaded = false;
        assert_int_equal(jump_load(&kernel, NULL, &early), 0);
        assert_null(strstr(fake->loaded_cmdline, "one two=3"));
        fake->loaded = false;
        fake_fail("kexec_load_kernel", 1, -EKEYREJECTED);
        assert_int_equal(jump_load(&kernel, NULL, &early), -EKEYREJECTED);
        assert_false(fake->loaded);
}

/* The archive has the message that early boot takes, whole. */
static void test_early_part(void **state) {
        _cleanup_(freep) void *data = NULL, *archive = NULL;
        Early early = EARLY__INIT;
        size_t size, archive_size;

        (void)state;
        early.ticket_id = (char *)"aa";
        early.max_pid = 4711;
        early.hold_backend = (char *)"auto";
        assert_int_equal(codec_encode(CODEC_EARLY, &early.base, &data, &size), 0);
        assert_int_equal(initrd_cpio_with(INITRD_EARLY, data, size, &archive, &archive_size), 0);
        assert_int_equal(jump_load(&kernel, NULL, &early), 0);
        assert_int_equal(fake->loaded_size, archive_size);
        assert_non_null(memmem(fake->loaded_part, sizeof fake->loaded_part, data, size));
}

int main(void) {
        const struct CMUnitTest tests[] = {
                        cmocka_unit_test_setup(test_check, set_up),
                        cmocka_unit_test_setup(test_load, set_up),
                        cmocka_unit_test_setup(test_early_part, set_up),
        };

        int r = own_machine();

        if (r != 0)
                return r;
        if (mkdir("/run/upper", 0755) < 0 || mkdir("/run/work", 0755) < 0 ||
            mount("overlay", "/usr/lib", "overlay", 0,
                  "lowerdir=/usr/lib,upperdir=/run/upper,workdir=/run/work") < 0) {
                printf("skipped: there is no overlay for a /lib/modules of the test's own\n");
                return 77;
        }
        return cmocka_run_group_tests(tests, NULL, NULL);
}

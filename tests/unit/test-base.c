/* SPDX-License-Identifier: GPL-2.0-or-later */

#include "base/cleanup.h"
#include "base/err.h"
#include "base/fd.h"
#include "base/secret.h"
#include "base/text.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

static int temporary_dir(char path[static 32]) {
        int fd;

        strcpy(path, "/tmp/carryover-test-XXXXXX");
        assert_non_null(mkdtemp(path));
        fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        assert_true(fd >= 0);
        return fd;
}

static void test_numbers(void **state) {
        uint64_t v = 7;
        pid_t pid;

        assert_int_equal(parse_u64("18446744073709551615", UINT64_MAX, &v), 0);
        assert_true(v == UINT64_MAX);
        assert_int_equal(parse_u64("18446744073709551616", UINT64_MAX, &v), -EINVAL);
        assert_int_equal(parse_u64("", 10, &v), -EINVAL);
        assert_int_equal(parse_u64("-1", 10, &v), -EINVAL);
        assert_int_equal(parse_u64("11", 10, &v), -EINVAL);
        assert_int_equal(parse_u64("1x", 10, &v), -EINVAL);
        assert_int_equal(parse_pid("0", &pid), -EINVAL);
        assert_int_equal(parse_pid("4194305", &pid), -EINVAL);
        assert_int_equal(parse_pid("4194304", &pid), 0);
}

static void test_names(void **state) {
        assert_true(path_has_dots("/proc/../tmp/s"));
        assert_true(path_has_dots("/tmp//."));
        assert_true(path_has_dots(".."));
        assert_true(path_has_dots("./s"));
        assert_false(path_has_dots("/tmp/...//..d/.s/s.."));
        assert_false(path_has_dots("/"));
        assert_false(path_has_dots(""));
        assert_true(name_is_safe("session-4.2"));
        assert_false(name_is_safe(".."));
        assert_false(name_is_safe("a/b"));
        assert_false(name_is_safe("a\nb"));
        assert_false(name_is_safe(""));
        assert_true(unit_is_safe("system-serial\\x2dgetty@ttyS0.slice"));
        assert_false(unit_is_safe("a b.slice"));
        assert_false(unit_is_safe("a/b.slice"));
        assert_false(unit_is_safe(".."));
        assert_false(unit_is_safe(""));
}

static int born(void) {
        return err_born(-ENOENT, "cannot find %s", "x");
}

static void test_err(void **state) {
        int r = born();

        assert_int_equal(err_pass(r), -ENOENT);
        assert_string_equal(err_text(r), "cannot find x: No such file or directory");
        err_prefix(r, "tree 'a': ");
        assert_string_equal(err_text(r), "tree 'a': cannot find x: No such file or directory");
        assert_string_equal(err_text(-EIO), "Input/output error");
        assert_non_null(strstr(err_way(), "< test_err"));
        err_say(-EPERM, "a %s\x7f", "\n<0>b\x1b]0;c\a \xc2\x9b \xc3\xa4");
        assert_string_equal(err_text(-EPERM), "a ?<0>b?]0;c? ?? \xc3\xa4?");
        err_prefix(-EPERM, "\r");
        assert_int_equal(err_text(-EPERM)[0], '?');
        err_say(-EPERM, "do it as root");
        assert_string_equal(err_text(-EPERM), "do it as root");
}

static void test_replace_and_remove(void **state) {
        char path[32];
        _cleanup_(closep) int dir = temporary_dir(path);
        _cleanup_(freep) char *text = NULL;
        size_t size;

        assert_int_equal(file_replace(dir, "a", "one", 3), 0);
        assert_int_equal(file_replace(dir, "a", "second", 6), 0);
        assert_int_equal(file_slurp(dir, "a", 100, &text, &size), 0);
        assert_string_equal(text, "second");
        assert_int_equal(file_slurp(dir, "a", 3, &text, &size), -EFBIG);

        assert_int_equal(mkdirat(dir, "d", 0700), 0);
        assert_int_equal(symlinkat("/etc", dir, "d/etc"), 0);
        assert_int_equal(mkdirat(dir, "d/e", 0700), 0);
        assert_int_equal(file_remove_tree(dir, "d"), 0);
        assert_int_equal(faccessat(dir, "d", F_OK, 0), -1);
        assert_int_equal(access("/etc/passwd", F_OK), 0);
        assert_int_equal(file_remove_tree(dir, "d"), 0);
        assert_int_equal(file_remove_tree(AT_FDCWD, path), 0);
}

static void test_beneath(void **state) {
        char path[32];
        _cleanup_(closep) int dir = temporary_dir(path);

        assert_int_equal(symlinkat("/etc/passwd", dir, "link"), 0);
        assert_int_equal(open_beneath(dir, "link", O_RDONLY, 0), -ELOOP);
        assert_int_equal(open_beneath(dir, "../x", O_RDONLY, 0), -EXDEV);
        assert_int_equal(open_beneath(dir, "none", O_RDONLY, 0), -ENOENT);
        assert_int_equal(file_remove_tree(AT_FDCWD, path), 0);
}

/* Forbidding is not seen from outside, so the child tells. */
static void test_secrets(void **state) {
        int status;
        pid_t pid = fork();

        if (pid == 0) {
                secrets_stay();
                _exit(prctl(PR_GET_DUMPABLE));
        }
        assert_int_equal(waitpid(pid, &status, 0), pid);
        assert_true(WIFEXITED(status));
        assert_int_equal(WEXITSTATUS(status), 0);
        assert_int_equal(prctl(PR_GET_DUMPABLE), 1);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                        cmocka_unit_test(test_numbers), cmocka_unit_test(test_names),
                        cmocka_unit_test(test_err),     cmocka_unit_test(test_replace_and_remove),
                        cmocka_unit_test(test_beneath), cmocka_unit_test(test_secrets),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}

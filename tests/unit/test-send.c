/* SPDX-License-Identifier: GPL-2.0-or-later */

/* Programs that are run with a report: real ones, of the shell. */

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/err.h"
#include "base/fd.h"
#include "base/text.h"
#include "send/publish.h"
#include "send/send.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

static char top[32], programs[64];
static char *said;

static void say(const char *sentence) {
        char *more = text_format("%s%s\n", said ?: "", sentence);

        assert_non_null(more);
        free(said);
        said = more;
}

static int set_up(void **state) {
        strcpy(top, "/tmp/carryover-test-XXXXXX");
        assert_non_null(mkdtemp(top));
        snprintf(programs, sizeof programs, "%s/report.d", top);
        assert_int_equal(mkdir(programs, 0755), 0);
        return 0;
}

static int tear_down(void **state) {
        free(said);
        said = NULL;
        return file_remove_tree(AT_FDCWD, top);
}

static void put(const char *name, mode_t mode, const char *text) {
        _cleanup_(freep) char *path = text_format("%s/%s", programs, name);
        _cleanup_(fclosep) FILE *out = fopen(path, "we");

        assert_non_null(out);
        fprintf(out, "#!/bin/sh\ncd %s\n%s\n", top, text);
        assert_int_equal(fchmod(fileno(out), mode), 0);
}

static char *got(const char *name) {
        _cleanup_(freep) char *path = text_format("%s/%s", top, name);
        char *text = NULL;

        (void)file_slurp(AT_FDCWD, path, 4096, &text, NULL);
        return text;
}

static size_t sent(uint64_t timeout) {
        Sending sending = {.directory = programs,
                           .text = "{\"id\":7}\n",
                           .logs = "/logs",
                           .timeout_usec = timeout};
        size_t failed = 99;

        assert_int_equal(send_all(&sending, say, &failed), 0);
        return failed;
}

static void test_in_order(void **state) {
        _cleanup_(freep) char *all = NULL;

        put("20-second", 0755, "echo second $CARRYOVER_LOGS >>all; cat >>all");
        put("10-first", 0700, "cat >>all; tr '\\0' '\\n' </proc/$$/environ | cut -d= -f1 >>all");
        put(".hidden", 0755, "echo hidden >>all");
        put("10-first~", 0755, "echo backup >>all");
        assert_true(send_is_wanted(programs));
        assert_int_equal(sent(60 * USEC_PER_SEC), 0);
        assert_null(said);
        all = got("all");
        assert_non_null(all);
        assert_string_equal(all, "{\"id\":7}\nPATH\nLANG\nCARRYOVER_LOGS\nsecond /logs\n{\"id\":7}\n");
}

static void test_what_fails(void **state) {
        _cleanup_(closep) int dir = open(programs, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        _cleanup_(freep) char *all = NULL;

        put("1", 0755, "exit 3");
        put("2", 0755, "kill -9 $$");
        put("3", 0644, "echo three >>all");
        put("4", 0775, "echo four >>all");
        put("5", 0755, "echo five >>all");
        put("../elsewhere", 0755, "echo elsewhere >>all");
        assert_int_equal(symlinkat("../elsewhere", dir, "6"), 0);
        assert_int_equal(sent(60 * USEC_PER_SEC), 5);
        assert_non_null(strstr(said, "/6 is no program of its own"));
        assert_non_null(strstr(said, "/1 exited with status 3\n"));
        assert_non_null(strstr(said, "/2 was killed by signal 9\n"));
        assert_non_null(strstr(said, "/3 is no program of its own: copy it here and run chmod u+x"));
        assert_non_null(strstr(said, "/4 was not run: others can write to it"));
        all = got("all");
        assert_non_null(all);
        assert_string_equal(all, "five\n");
}

/* Nor does what it has started. */
static void test_no_end(void **state) {
        _cleanup_(freep) char *number = NULL;
        pid_t child;

        put("1", 0755, "sleep 1000 & echo $! >child; wait");
        put("2", 0755, "echo on >on");
        assert_int_equal(sent(USEC_PER_SEC / 2), 1);
        assert_non_null(strstr(said, "/1 was killed: it did not end within"));
        number = got("on");
        assert_non_null(number);
        free(TAKE(number));
        number = got("child");
        assert_non_null(number);
        child = (pid_t)atoi(number);
        assert_true(child > 1);
        for (int i = 0; i < 100 && kill(child, 0) == 0; i++)
                usleep(20000); /* it is a child of nobody that waits for it here: the machine's init does */
        assert_int_equal(kill(child, 0), -1);
}

static void test_directory(void **state) {
        Sending sending = {.directory = programs, .text = "", .logs = "", .timeout_usec = USEC_PER_SEC};
        size_t failed;

        assert_false(send_is_wanted(programs));
        assert_int_equal(chmod(programs, 0777), 0);
        assert_int_equal(send_all(&sending, say, &failed), -EPERM);
        assert_non_null(strstr(err_text(-EPERM), "writable by users other than root"));
        sending.directory = "/nowhere";
        assert_int_equal(send_all(&sending, say, &failed), -ENOENT);
        assert_false(send_is_wanted("/nowhere"));
}

/* Whoever owns the directory has put links there, under the name and under that of the file to come. */
static void test_publish(void **state) {
        _cleanup_(freep) char *path = text_format("%s/a.prom", programs), *text = NULL;
        _cleanup_(freep) char *coming = text_format("%s/.a.prom.new", programs);
        _cleanup_(freep) char *other = text_format("%s/other", top);
        _cleanup_(fclosep) FILE *out = fopen(other, "we");
        struct stat st;

        assert_int_equal(publish("/nowhere", "a.prom", "x"), -ENOENT);
        assert_non_null(strstr(err_text(-ENOENT), "set MetricsDirectory="));
        assert_int_equal(fchmod(fileno(out), 0600), 0);
        assert_int_equal(symlink(other, path), 0);
        assert_int_equal(symlink(other, coming), 0);
        assert_int_equal(publish(programs, "a.prom", "one\n"), 0);
        assert_int_equal(stat(other, &st), 0);
        assert_int_equal(st.st_mode, S_IFREG | 0600);
        assert_int_equal(st.st_size, 0);
        (void)umask(0077);
        assert_int_equal(publish(programs, "a.prom", "two\n"), 0);
        assert_int_equal(lstat(path, &st), 0);
        assert_int_equal(st.st_mode, S_IFREG | 0644);
        assert_int_equal(file_slurp(AT_FDCWD, path, 100, &text, NULL), 0);
        assert_string_equal(text, "two\n");
}

int main(void) {
        const struct CMUnitTest tests[] = {
                        cmocka_unit_test_setup_teardown(test_in_order, set_up, tear_down),
                        cmocka_unit_test_setup_teardown(test_what_fails, set_up, tear_down),
                        cmocka_unit_test_setup_teardown(test_no_end, set_up, tear_down),
                        cmocka_unit_test_setup_teardown(test_directory, set_up, tear_down),
                        cmocka_unit_test_setup_teardown(test_publish, set_up, tear_down),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}

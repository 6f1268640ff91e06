/* SPDX-License-Identifier: GPL-2.0-or-later */

/* logind's files of those who inhibit a shutdown, as systemd 252 and 257 write them, and as nobody does. */

#include "base/cleanup.h"
#include "base/fd.h"
#include "systemd/inhibit.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#define MAX_HELD 8u

static char root[] = "/tmp/carryover-test-XXXXXX";
static int dir = -1;
static int held[MAX_HELD];
static size_t n_held;

static void release(void) {
        while (n_held > 0)
                (void)fd_close(held[--n_held]);
}

static int clean(void **state) {
        _cleanup_(closep) int fd = open(root, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        char path[128];

        (void)state;
        release();
        dir = fd_close(dir);
        assert_int_equal(file_remove_tree(fd, "run"), 0);
        snprintf(path, sizeof path, "%s/run/systemd/inhibit", root);
        dir = open_dirs(path, 0755);
        assert_true(dir >= 0);
        return 0;
}

static void put(const char *id, const char *text) {
        assert_int_equal(file_replace(dir, id, text, strlen(text)), 0);
}

/* As its holder has it: logind's end is open, too. */
static void hold(const char *id) {
        char name[64];

        snprintf(name, sizeof name, "%s.ref", id);
        assert_int_equal(mkfifoat(dir, name, 0600), 0);
        assert_true(n_held < MAX_HELD);
        held[n_held] = openat(dir, name, O_RDWR | O_CLOEXEC);
        assert_true(held[n_held++] >= 0);
}

static void nobody_does(void) {
        Inhibitor i = {.who = "untouched"};
        size_t n;

        assert_int_equal(inhibit_shutdown(root, &i, &n), 1);
        assert_string_equal(i.who, "untouched");
}

static void says(size_t expected, const char *sentence) {
        _cleanup_(freep) char *text = NULL;
        Inhibitor i;
        size_t n;

        assert_int_equal(inhibit_shutdown(root, &i, &n), 0);
        assert_int_equal(n, expected);
        text = inhibit_text(&i, n);
        assert_string_equal(text, sentence);
}

#define APT "# This is private data. Do not parse.\nWHAT=shutdown:sleep\nMODE=block\nUID=0\nPID=812\n"

static void test_none(void **state) {
        (void)state;
        nobody_does();
        assert_int_equal(clean(NULL), 0);
        dir = fd_close(dir);
        nobody_does(); /* without the directory, too: no logind has run */
}

static void test_both_releases(void **state) {
        put("1", APT "WHO=apt\nWHY=upgrade in progress\nFIFO=/run/systemd/inhibit/1.ref\n");
        hold("1");
        says(1, "\"apt\" (PID 812, root) inhibits a shutdown: upgrade in progress");
        (void)clean(state);
        put("1", APT "PIDFDID=77\nWHO=apt\nWHY=\"upgrade in progress\"\nFIFO=/run/systemd/inhibit/1.ref\n");
        hold("1");
        says(1, "\"apt\" (PID 812, root) inhibits a shutdown: upgrade in progress");
}

static void test_escapes(void **state) {
        (void)state;
        put("1", APT "WHO=J\\303\\266rg\\'s \\x41\\\\pt\nWHY=a\\nb\\033[2J\\9\\\n");
        hold("1");
        says(1, "\"J\303\266rg's A\\pt\" (PID 812, root) inhibits a shutdown: a b?[2J\\9\\");
        put("1", APT "WHO=\"J\\\\303\\\\266rg \\\\\\\"x\\\\\\\"\"\nWHY=\"a\\\\tb\"\n");
        says(1, "\"J\303\266rg \"x\"\" (PID 812, root) inhibits a shutdown: a b");
}

/* Of another kind, and none. */
static void test_others(void **state) {
        (void)state;
        put("1", "WHAT=shutdown\nMODE=delay\nUID=0\nPID=1\n");
        put("2", "WHAT=shutdown\nMODE=block-weak\nUID=0\nPID=1\n");
        put("3", "WHAT=sleep:handle-lid-switch\nMODE=block\nUID=0\nPID=1\n");
        put("4", "WHAT=shutdownx\nMODE=block\nUID=0\nPID=1\n");
        put("5", "MODE=block\n");
        put("6", "");
        for (char id[] = "1"; id[0] <= '6'; id[0]++)
                hold(id);
        nobody_does();
        put("6", "MODE=block\nWHAT=idle:shutdown\nUID=4294967295\nPID=0\n");
        says(1, "\"?\" (UID 4294967295) inhibits a shutdown: no reason given");
}

/* Whoever held it has ended, and logind has not noticed, or is not there any more. */
static void test_stale(void **state) {
        (void)state;
        put("1", APT "WHO=apt\n");
        nobody_does();
        hold("1");
        says(1, "\"apt\" (PID 812, root) inhibits a shutdown: no reason given");
        release();
        nobody_does();
}

/* What stands beside it is not taken for it. */
static void test_not_a_fifo(void **state) {
        (void)state;
        put("1", APT "WHO=apt\n");
        put("1.ref", "x");
        nobody_does();
        assert_int_equal(symlinkat("1", dir, "2"), 0);
        put("other", "x");
        hold("2");
        nobody_does();
}

static void test_oldest_and_how_many(void **state) {
        (void)state;
        put("10", APT "WHO=later\n");
        put("9", APT "WHO=first\nWHY=x\n");
        put("11", APT "WHO=last\n");
        hold("10");
        hold("9");
        hold("11");
        says(3, "\"first\" (PID 812, root) inhibits a shutdown: x (and 2 more: see systemd-inhibit --list)");
}

int main(void) {
        const struct CMUnitTest tests[] = {
                        cmocka_unit_test_setup(test_none, clean),
                        cmocka_unit_test_setup(test_both_releases, clean),
                        cmocka_unit_test_setup(test_escapes, clean),
                        cmocka_unit_test_setup(test_others, clean),
                        cmocka_unit_test_setup(test_stale, clean),
                        cmocka_unit_test_setup(test_not_a_fifo, clean),
                        cmocka_unit_test_setup(test_oldest_and_how_many, clean),
        };
        int r;

        if (!mkdtemp(root))
                return 1;
        r = cmocka_run_group_tests(tests, NULL, NULL);
        release();
        (void)rmdir(root);
        return r;
}

/* SPDX-License-Identifier: GPL-2.0-or-later */

/* Who asks for the report to be sent, and what is sent. Needs root: sealed.h. */

#include "flow/flow.h"

#include "tests/unit/sealed.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

#define PROGRAMS "/etc/carryover/report.d"
#define LOGS     "/run/carryover-report"
#define UNIT     "carryover-report.service"

/* A program that keeps what it gets. */
static void want(void) {
        int dir = open_dirs(PROGRAMS, 0755);
        static const char text[] =
                        "#!/bin/sh\ncat >>/run/got\ncat $CARRYOVER_LOGS/*.log >>/run/logs 2>/dev/null\n"
                        "exit \"$(cat /run/status 2>/dev/null || echo 0)\"\n";

        assert_true(dir >= 0);
        (void)unlink("/run/got");
        (void)unlink("/run/logs");
        (void)unlink("/run/status");
        assert_int_equal(file_replace(dir, "keep", text, strlen(text)), 0);
        assert_int_equal(fchmodat(dir, "keep", 0700, 0), 0);
        (void)fd_close(dir);
}

static int run_send(void *userdata) {
        (void)setenv("RUNTIME_DIRECTORY", LOGS, 1);
        return flow_send();
}

static int run_start(void *userdata) {
        return flow_start();
}

static size_t sent(void) {
        _cleanup_(freep) char *text = NULL;
        size_t n = 0;

        if (file_slurp(AT_FDCWD, "/run/got", 65536, &text, NULL) < 0)
                return 0;
        for (const char *p = text; (p = strstr(p, "\"verdict\"")); p++)
                n++;
        return n;
}

static bool has_sent(const char *path, const char *what) {
        _cleanup_(freep) char *text = NULL;

        return file_slurp(AT_FDCWD, path, 65536, &text, NULL) >= 0 && strstr(text, what);
}

static bool is_asked(void) {
        return strcmp(fake->started, UNIT) == 0;
}

static void restored(const char *failing) {
        sealed_two();
        (void)file_remove_tree(AT_FDCWD, PROGRAMS);
        want();
        fake->started[0] = '\0';
        if (failing)
                fake_fail(failing, 1, -EIO);
        (void)fake_run(run_restore, NULL);
}

static void test_nobody_wants_it(void **state) {
        sealed_two();
        (void)file_remove_tree(AT_FDCWD, PROGRAMS);
        fake->started[0] = '\0';
        assert_int_equal(fake_run(run_restore, NULL), 0);
        assert_false(is_asked());
}

static void test_once(void **state) {
        restored(NULL);
        assert_true(is_asked());
        assert_int_equal(fake_run(run_send, NULL), EXIT_OK);
        assert_int_equal(sent(), 1);
        assert_true(has_sent("/run/got", "\"verdict\":\"carried\""));
        fake->started[0] = '\0';
        assert_int_equal(fake_run(run_start, NULL), EXIT_OK);
        assert_false(is_asked());
        assert_int_equal(fake_run(run_send, NULL), EXIT_OK);
        assert_int_equal(sent(), 1);
}

/* The boot went down before it was sent: the next start of carryover.service asks. */
static void test_later(void **state) {
        restored(NULL);
        fake->started[0] = '\0';
        assert_int_equal(fake_run(run_start, NULL), EXIT_OK);
        assert_true(is_asked());
}

static void test_shutdown(void **state) {
        restored(NULL);
        fake->started[0] = '\0';
        strcpy(fake->shutdown, "reboot");
        assert_int_equal(fake_run(run_start, NULL), EXIT_OK);
        assert_false(is_asked());
}

static void test_failed_only(void **state) {
        sealed_two();
        want();
        configure("SendReports=failed\n");
        fake->started[0] = '\0';
        assert_int_equal(fake_run(run_restore, NULL), 0);
        assert_false(is_asked());
        assert_int_equal(fake_run(run_send, NULL), EXIT_OK);
        assert_int_equal(sent(), 0);
}

/* With the logs of what failed, and nothing else of its images. */
static void test_logs(void **state) {
        _cleanup_(ticket_freep) Ticket *report = NULL;
        int images;

        restored("criu_restore");
        report = sealed_report();
        for (size_t i = 0; i < report->n_trees; i++) {
                if (!report->trees[i]->outcome->images)
                        continue;
                images = open(report->trees[i]->outcome->images, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
                assert_true(images >= 0);
                assert_int_equal(file_replace(images, "restore.log", "CRIU says no\n", 13), 0);
                (void)fd_close(images);
        }
        assert_true(is_asked());
        assert_int_equal(fake_run(run_send, NULL), EXIT_OK);
        assert_true(has_sent("/run/logs", "CRIU says no"));
        assert_true(has_sent("/run/got", "\"failed\""));
}

static void put_status(void) {
        int run = open_dirs("/run", 0755);

        assert_int_equal(file_replace(run, "status", "4", 1), 0);
        (void)fd_close(run);
}

static void test_program_fails(void **state) {
        restored(NULL);
        put_status();
        assert_int_equal(fake_run(run_send, NULL), EXIT_FAILED);
        assert_int_equal(fake_run(run_send, NULL), EXIT_OK); /* it was run: not again in each boot */
        assert_int_equal(sent(), 1);
}

static int by_hand(void *userdata) {
        (void)unsetenv("RUNTIME_DIRECTORY");
        return flow_send();
}

static void test_by_hand(void **state) {
        (void)fresh_machine(NULL);
        assert_int_equal(fake_run(by_hand, NULL), EXIT_USAGE);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                        cmocka_unit_test(test_nobody_wants_it), cmocka_unit_test(test_once),
                        cmocka_unit_test(test_later),           cmocka_unit_test(test_shutdown),
                        cmocka_unit_test(test_failed_only),     cmocka_unit_test(test_logs),
                        cmocka_unit_test(test_program_fails),   cmocka_unit_test(test_by_hand),
        };
        int r = own_machine();

        return r ?: cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: GPL-2.0-or-later */

/* A journal of our own: the program's sd_journal_sendv() stands before the library's. */

#include "base/cleanup.h"
#include "report/event.h"
#include "report/message-ids.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#define SD_JOURNAL_SUPPRESS_LOCATION
#include <systemd/sd-journal.h>

static char sent[32][2048];
static int n_sent;

int sd_journal_sendv(const struct iovec *vector, int n) {
        n_sent = n;
        for (int i = 0; i < n; i++) {
                assert_true(vector[i].iov_len < sizeof sent[i]);
                memcpy(sent[i], vector[i].iov_base, vector[i].iov_len);
                sent[i][vector[i].iov_len] = '\0';
        }
        return 0;
}

static bool was_sent(const char *field) {
        for (int i = 0; i < n_sent; i++)
                if (strcmp(sent[i], field) == 0)
                        return true;
        return false;
}

static void test_full(void **state) {
        report_event(&(Event){.kind = EVENT_TREE_FAILED,
                              .ticket = "0123",
                              .tree = "session-4",
                              .reason = "PID 812 is taken",
                              .kernel = "6.12",
                              .gap_usec = 14320000});
        assert_int_equal(n_sent, 10);
        assert_true(was_sent("MESSAGE=session-4: restore failed after 14.32 s, kernel 6.12: PID "
                             "812 is taken"));
        assert_true(was_sent("MESSAGE_ID=" MESSAGE_TREE_FAILED));
        assert_true(was_sent("PRIORITY=3"));
        assert_true(was_sent("SYSLOG_IDENTIFIER=carryover"));
        assert_true(was_sent("CARRYOVER_TICKET=0123"));
        assert_true(was_sent("CARRYOVER_TREE=session-4"));
        assert_true(was_sent("CARRYOVER_REASON=PID 812 is taken"));
        assert_true(was_sent("CARRYOVER_KERNEL=6.12"));
        assert_true(was_sent("CARRYOVER_GAP_USEC=14320000"));
        assert_true(was_sent("CARRYOVER_GAP=14.3 s"));
}

static void test_every_kind(void **state) {
        for (int kind = 0; kind < EVENT_KINDS_; kind++) {
                report_event(&(Event){.kind = (EventKind)kind});
                assert_int_equal(n_sent, 4);
                assert_true(strlen(sent[0]) > strlen("MESSAGE="));
                assert_int_equal(strlen(sent[1]), strlen("MESSAGE_ID=") + 32);
        }
}

static void test_endless_reason_is_cut(void **state) {
        char reason[4096];

        memset(reason, 'x', sizeof reason - 1);
        reason[sizeof reason - 1] = '\0';
        report_event(&(Event){.kind = EVENT_SAVE_STOPPED, .reason = reason});
        assert_int_equal(n_sent, 5);
        assert_true(strlen(sent[0]) < 1400 && strlen(sent[4]) < 1400);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                        cmocka_unit_test(test_full),
                        cmocka_unit_test(test_every_kind),
                        cmocka_unit_test(test_endless_reason_is_cut),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}

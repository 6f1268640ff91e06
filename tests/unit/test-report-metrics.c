/* SPDX-License-Identifier: GPL-2.0-or-later */

/* What tests/style/check-metrics gives to parsers of others is what is written here. */

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/fd.h"
#include "base/text.h"
#include "config-build.h"
#include "report/metrics.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static const ReportNow stands = {.phase = PHASE_IDLE, .kept = 2, .held = 3};
static const ReportMeasures measures = {.check = VERDICT_DEGRADED, .store_bytes = 88080384};

static int write_metrics(FILE *out, const void *report) {
        return report_metrics(out, report, &stands, &measures);
}

static Ticket *report_of(void) {
        static const Outcome__State states[] = {OUTCOME__STATE__CARRIED, OUTCOME__STATE__CARRIED,
                                                OUTCOME__STATE__LOST};
        Ticket *t = model_new(Ticket, ticket__init);

        assert_non_null(t);
        t->sealed_at = 1764421500 * USEC_PER_SEC + 250;
        for (size_t i = 0; i < ELEMENTS(states); i++) {
                Tree *tree = model_new(Tree, tree__init);

                assert_non_null(tree);
                tree->outcome = model_new(Outcome, outcome__init);
                assert_non_null(tree->outcome);
                tree->outcome->state = states[i];
                tree->outcome->has_gap = true;
                tree->outcome->gap = (19 + i) * USEC_PER_SEC + 7 * USEC_PER_MSEC;
                assert_int_equal(model_append(t->trees, t->n_trees, tree), 0);
        }
        return t;
}

static void test_all(void **state) {
        _cleanup_(ticket_freep) Ticket *t = report_of();
        _cleanup_(freep) char *text = NULL, *expected = NULL;

        assert_int_equal(text_written(write_metrics, t, &text), 0);
        assert_int_equal(file_slurp(AT_FDCWD, METRICS, 65536, &expected, NULL), 0);
        assert_string_equal(text, strchr(expected, '\n') + 1); /* the licence is not theirs */
}

static void test_no_save_yet(void **state) {
        _cleanup_(freep) char *text = NULL;

        assert_int_equal(text_written(write_metrics, NULL, &text), 0);
        assert_null(strstr(text, "carryover_last"));
        assert_non_null(strstr(text, "\ncarryover_kept_trees 2\n"));
        assert_true(ends_with(text, "\n# EOF\n"));
}

/* What has no value has no metric: 0 would be a gap that nobody saw. */
static void test_no_gap(void **state) {
        _cleanup_(ticket_freep) Ticket *t = report_of();
        _cleanup_(freep) char *text = NULL;

        for (size_t i = 0; i < t->n_trees; i++)
                t->trees[i]->outcome->state = OUTCOME__STATE__LEFT;
        t->sealed_at = 0;
        assert_int_equal(text_written(write_metrics, t, &text), 0);
        assert_null(strstr(text, "gap_seconds"));
        assert_null(strstr(text, "timestamp"));
        assert_non_null(strstr(text, "\ncarryover_last_verdict{verdict=\"stopped\"} 1\n"));
        assert_non_null(strstr(text, "\ncarryover_last_trees{outcome=\"left\"} 3\n"));
}

static void test_full(void **state) {
        FILE *full = fopen("/dev/full", "we");

        assert_non_null(full);
        setvbuf(full, NULL, _IONBF, 0);
        assert_int_equal(report_metrics(full, NULL, &stands, &measures), -EIO);
        fclose(full);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                        cmocka_unit_test(test_all),
                        cmocka_unit_test(test_no_save_yet),
                        cmocka_unit_test(test_no_gap),
                        cmocka_unit_test(test_full),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}

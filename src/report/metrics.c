/* SPDX-License-Identifier: GPL-2.0-or-later */

#include "report/metrics.h"

#include "base/clock.h"
#include "base/err.h"
#include "base/text.h"
#include "config-build.h"

#include <inttypes.h>

/* unit: also the end of the name, or NULL. */
static void family(FILE *out, const char *name, const char *unit, const char *help) {
        fprintf(out, "# TYPE %s gauge\n", name);
        if (unit)
                fprintf(out, "# UNIT %s %s\n", name, unit);
        fprintf(out, "# HELP %s %s\n", name, help);
}

static void number(FILE *out, const char *name, const char *unit, uint64_t value, const char *help) {
        family(out, name, unit, help);
        fprintf(out, "%s %" PRIu64 "\n", name, value);
}

static void seconds(FILE *out, const char *name, uint64_t usec, const char *help) {
        family(out, name, "seconds", help);
        fprintf(out, "%s %" PRIu64 ".%06" PRIu64 "\n", name, usec / USEC_PER_SEC, usec % USEC_PER_SEC);
}

/* One of the texts is 1, all others are 0: none of them ends when the state changes. */
static void state(FILE *out, const char *name, const char *label, const char *(*text)(int value), int values,
                  int is, const char *help) {
        family(out, name, NULL, help);
        for (int i = 0; i < values; i++)
                fprintf(out, "%s{%s=\"%s\"} %d\n", name, label, text(i), i == is);
}

static const char *phase_text(int value) {
        return report_phase_text((ReportPhase)value);
}

static const char *level_text(int value) {
        return verdict_level_text((VerdictLevel)value);
}

static const char *verdict_text(int value) {
        return report_verdict_text((ReportVerdict)value);
}

static void trees(FILE *out, const Ticket *report) {
        static const Outcome__State states[] = {OUTCOME__STATE__PENDING, OUTCOME__STATE__CARRIED,
                                                OUTCOME__STATE__FAILED, OUTCOME__STATE__LOST,
                                                OUTCOME__STATE__LEFT};

        family(out, "carryover_last_trees", NULL, "Trees of the last save, by outcome.");
        for (size_t i = 0; i < ELEMENTS(states); i++)
                fprintf(out, "carryover_last_trees{outcome=\"%s\"} %zu\n", report_state_text(states[i]),
                        report_count(report, states[i]));
}

static void last(FILE *out, const Ticket *report) {
        uint64_t at = report->sealed_at > 0 ? report->sealed_at : report->done_at, gap = report_gap(report);

        state(out, "carryover_last_verdict", "verdict", verdict_text, REPORT_STOPPED + 1,
              (int)report_verdict(report), "What became of the last save.");
        trees(out, report);
        if (at > 0)
                seconds(out, "carryover_last_save_timestamp_seconds", at,
                        "When the last save was sealed, or failed before that; since the epoch.");
        if (gap > 0)
                seconds(out, "carryover_last_gap_seconds", gap, "The longest silence of the last save.");
}

int report_metrics(FILE *out, const Ticket *report, const ReportNow *now, const ReportMeasures *measures) {
        family(out, "carryover_build_info", NULL, "1, with the version of carryover.");
        fprintf(out, "carryover_build_info{version=\"%s\"} 1\n", PROJECT_VERSION);
        state(out, "carryover_phase", "phase", phase_text, PHASE_INTERRUPTED + 1, (int)now->phase,
              "What is under way.");
        state(out, "carryover_check", "level", level_text, VERDICT_REFUSED + 1, (int)measures->check,
              "What a check of everything that is kept says now.");
        number(out, "carryover_kept_trees", NULL, now->kept, "Trees that the next shutdown carries.");
        number(out, "carryover_held_connections", NULL, now->held, "Connections whose packets are held.");
        number(out, "carryover_store_bytes", "bytes", measures->store_bytes,
               "Space that all files of the store take.");
        if (report)
                last(out, report);
        fputs("# EOF\n", out);
        return ferror(out) ? err_born(-EIO, "cannot write metrics") : 0;
}

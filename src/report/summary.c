/* SPDX-License-Identifier: GPL-2.0-or-later */

/* What `carryover reboot` prints in the new kernel, and `carryover status` at any time later: the answer
 * first. Who wants to know more asks for it. */

#include "report/report.h"

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/text.h"
#include "report/text.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define NOT_KEPT_MAX 20u
/* Of 80. A tree with a longer name, as a unit's, has two lines, since the name is to be typed. */
#define NAME_COLUMNS 22u
#define STEP_COLUMNS 18u

typedef struct Paint {
        const char *good, *warn, *bad, *dim, *bold, *off;
} Paint;

static const Paint colours = {
                .good = "\033[32m",
                .warn = "\033[33m",
                .bad = "\033[31m",
                .dim = "\033[2m",
                .bold = "\033[1m",
                .off = "\033[0m",
};
static const Paint plain = {"", "", "", "", "", ""};

static const char *verdict_paint(const Paint *paint, ReportVerdict verdict) {
        switch (verdict) {
        case REPORT_CARRIED:
                return paint->good;
        case REPORT_FAILED:
        case REPORT_PARTLY:
                return paint->bad;
        default:
                return paint->warn;
        }
}

static const char *state_paint(const Paint *paint, Outcome__State state) {
        switch (state) {
        case OUTCOME__STATE__CARRIED:
                return paint->good;
        case OUTCOME__STATE__PENDING:
        case OUTCOME__STATE__LEFT:
                return paint->warn;
        default:
                return paint->bad;
        }
}

/* ", gap 19.8 s", and of what was not carried how much: "; 1 failed, 2 not kept". */
static void rest_of_sum(FILE *out, const Ticket *report) {
        static const Outcome__State states[] = {OUTCOME__STATE__FAILED, OUTCOME__STATE__LOST,
                                                OUTCOME__STATE__LEFT};
        const char *before = "; ";
        uint64_t gap = report_gap(report);
        size_t others = report_not_kept(report);

        if (gap > 0)
                fprintf(out, ", gap %.1f s", (double)gap / USEC_PER_SEC);
        for (size_t i = 0; i < ELEMENTS(states); i++) {
                size_t n = report_count(report, states[i]);

                if (n == 0)
                        continue;
                fprintf(out, "%s%zu %s", before, n,
                        states[i] == OUTCOME__STATE__LEFT ? "not saved" : report_state_text(states[i]));
                before = ", ";
        }
        if (others > 0)
                fprintf(out, "%s%zu not kept", before, others);
        fputc('.', out);
}

/* Whether the trees are there because nobody rebooted, or were left to a shutdown of somebody else's. */
static bool is_called_off(const Ticket *report) {
        return report->has_request_at || report->called_off ||
               report_count(report, OUTCOME__STATE__CARRIED) > 0;
}

static const char *first_word(const Ticket *report) {
        switch (report_verdict(report)) {
        case REPORT_STOPPED:
                return is_called_off(report) ? "Not rebooted:" : "Nothing was saved:";
        case REPORT_PENDING:
                return "Restored";
        default:
                return "Carried";
        }
}

static int rest_of_headline(FILE *out, const void *userdata) {
        const Ticket *report = userdata;
        const char *old = report->old_kernel ?: "?", *next = report->new_kernel ?: "?";
        size_t n = report->n_trees, carried = report_count(report, OUTCOME__STATE__CARRIED);

        switch (report_verdict(report)) {
        case REPORT_STOPPED:
                if (is_called_off(report))
                        fprintf(out, "%zu %s in Linux %s.", n,
                                n == 1 ? "tree still runs" : "trees still run", old);
                else
                        fprintf(out,
                                "%zu %s left running in Linux %s; carryover did not start the shutdown.", n,
                                n == 1 ? "tree was" : "trees were", old);
                break;
        case REPORT_PENDING:
                fprintf(out, "%zu of %zu so far, saved in Linux %s.", carried, n, old);
                break;
        default:
                fprintf(out, "%zu of %zu %s Linux %s", carried, n + report_not_kept(report),
                        report_is_soft(report) ? "over a soft-reboot of" : "to", next);
                rest_of_sum(out, report);
        }
        return 0;
}

char *report_sentence(const Ticket *report) {
        _cleanup_(freep) char *rest = NULL, *text = NULL;

        if (text_written(rest_of_headline, report, &rest) >= 0)
                text = text_format("%s %s", first_word(report), rest);
        return text ? text_printable(text) : NULL;
}

static void headline(FILE *out, const Ticket *report, const Paint *paint) {
        _cleanup_(freep) char *text = report_sentence(report);
        size_t n = strlen(first_word(report));

        if (!text)
                return;
        fprintf(out, "%s%.*s%s ", verdict_paint(paint, report_verdict(report)), (int)n, text, paint->off);
        text_flow(out, n + 1, REPORT_COLUMNS, false, text + n);
}

static void moment(FILE *out, const char *label, uint64_t realtime, const char *rest) {
        char text[REPORT_MOMENT_SIZE];

        text_moment(realtime, true, text);
        fprintf(out, "%11s %s%s\n", label, text, rest);
}

void report_scheduled(FILE *out, const ReportNow *now) {
        char label[48];

        if (!now->scheduled[0])
                return;
        snprintf(label, sizeof label, " Scheduled: %s at", now->scheduled);
        moment(out, label, now->scheduled_at,
               now->kept > 0 ? ": kept trees will be carried" : ": nothing is kept");
}

static void figures(FILE *out, const Ticket *report) {
        _cleanup_(freep) char *id = text_printable(report->id);

        if (report->sealed_at > 0)
                moment(out, "Sealed:", report->sealed_at, "");
        if (report->has_done_at)
                moment(out, "Done:", report->done_at, "");
        fprintf(out, "%10s: %s\n", "Ticket", id ?: "?");
}

static void notes(FILE *out, Note *const *all, size_t n) {
        for (size_t i = 0; i < n; i++) {
                text_paragraph(out, 4, "degraded: ", all[i]->text);
                if (all[i]->remedy)
                        text_paragraph(out, 4, "  remedy: ", all[i]->remedy);
        }
}

/* One that is longer than its column has a line of its own. */
static void put_name(FILE *out, const char *name, size_t columns) {
        if (strlen(name) > columns) {
                fprintf(out, "  %s\n", name);
                name = "";
        }
        fprintf(out, "  %-*s", (int)columns, name);
}

static void tree_line(FILE *out, const Tree *tree, const Paint *paint) {
        _cleanup_(freep) char *name = text_printable(tree->name);
        _cleanup_(freep) char *comm = text_printable(tree->comm);
        _cleanup_(freep) char *mode = text_printable(tree->outcome ? tree->outcome->mode : NULL);
        const Outcome *outcome = tree->outcome;
        char gap[32] = "-";
        uint32_t pid = outcome && outcome->has_root_pid ? outcome->root_pid : tree->root_pid;

        if (!name || !comm || !mode)
                return;
        if (outcome && outcome->has_gap)
                snprintf(gap, sizeof gap, "%.2f s", (double)outcome->gap / USEC_PER_SEC);
        put_name(out, name, NAME_COLUMNS);
        fprintf(out, " %s%-8s%s %-9.9s %9s  %" PRIu32 " (%.15s)\n", state_paint(paint, report_state(tree)),
                report_state_text(report_state(tree)), paint->off, mode[0] ? mode : "-", gap, pid, comm);
}

/* The next save makes an end of it. */
static void images(FILE *out, const Tree *tree, bool newest) {
        bool again = report_may_retry(tree, true), force = !report_may_retry(tree, false);
        _cleanup_(freep) char *how = NULL;

        if (!tree->outcome || !tree->outcome->images)
                return;
        text_paragraph(out, 4, "images kept: ", tree->outcome->images);
        if (newest && again)
                how = text_format("carryover restore %s%s, %s", force ? "--force " : "", tree->name,
                                  force ? "if work may be done twice" : "after the cause is removed");
        if (how)
                text_paragraph(out, 4, "to retry: ", how);
}

static void trees(FILE *out, const Ticket *report, bool newest, const Paint *paint) {
        fprintf(out, "\n%s  %-*s %-8s %-9s %9s  %s%s\n", paint->dim, (int)NAME_COLUMNS, "TREE", "OUTCOME",
                "PIDS", "GAP", "ROOT", paint->off);
        for (size_t i = 0; i < report->n_trees; i++) {
                const Tree *tree = report->trees[i];
                const Outcome *outcome = tree->outcome;

                tree_line(out, tree, paint);
                if (outcome && outcome->reason)
                        text_paragraph(out, 4, "because: ", outcome->reason);
                notes(out, tree->degraded, tree->n_degraded);
                images(out, tree, newest);
        }
}

/* "session 5 (ssh) of joe," stays on one line. The column behind it. */
static size_t put_ended(FILE *out, const Ended *e, const char *end, size_t first, size_t at) {
        _cleanup_(freep) char *text =
                        text_format("%s%s%s%s", e->what, e->user[0] ? " of " : "", e->user, end);
        _cleanup_(freep) char *clean = text_printable(text);
        size_t n = strlen(clean ?: "");

        if (at > first && at + 1 + n > REPORT_COLUMNS) {
                fprintf(out, "\n%*s", (int)first, "");
                at = first;
        }
        fprintf(out, "%s%s", at > first ? " " : "", clean ?: "");
        return at + (at > first) + n;
}

/* What nobody kept: the jump has ended it, unless there was none. */
static void not_kept(FILE *out, const Ticket *report) {
        static const char label[] = "  Not kept: ";
        size_t n = report->n_ended < NOT_KEPT_MAX ? report->n_ended : NOT_KEPT_MAX, at = sizeof label - 1;

        if (n == 0)
                return;
        fprintf(out, "\n%s", label);
        for (size_t i = 0; i < n; i++)
                at = put_ended(out, report->ended[i], i + 1 < n ? "," : "", sizeof label - 1, at);
        fputc('\n', out);
        if (report->n_ended > n)
                fprintf(out, "  and %zu more: carryover status --json\n", report->n_ended - n);
}

static void step_line(FILE *out, const Step *step, const Step *first, const Paint *paint) {
        _cleanup_(freep) char *name = text_printable(step->name);
        _cleanup_(freep) char *tree = text_printable(step->tree);
        double begin = ((double)step->realtime - (double)first->realtime) / USEC_PER_SEC;

        if (!name || !tree)
                return;
        fprintf(out, "  %-*.*s %-*.*s %8.2f s %8.0f ms  %s%s%s\n", (int)STEP_COLUMNS, (int)STEP_COLUMNS,
                name, (int)NAME_COLUMNS, (int)NAME_COLUMNS, tree[0] ? tree : "-", begin,
                (double)step->duration / USEC_PER_MSEC, step->after_jump ? paint->bold : "",
                step->after_jump ? "new" : "old", paint->off);
}

static void steps(FILE *out, const Ticket *report, const Paint *paint) {
        _cleanup_(freep) Step **sorted = report_steps_sorted(report);

        if (!sorted)
                return;
        fprintf(out, "\n%s  %-*s %-*s %10s %11s  %s%s\n", paint->dim, (int)STEP_COLUMNS, "STEP",
                (int)NAME_COLUMNS, "TREE", "BEGINS", "TAKES", "KERNEL", paint->off);
        for (size_t i = 0; i < report->n_steps; i++)
                step_line(out, sorted[i], sorted[0], paint);
}

/* One that is well needs no word. */
static void lost_or_degraded(FILE *out, const Tree *tree) {
        const Outcome *outcome = tree->outcome;
        _cleanup_(freep) char *name = text_printable(tree->name);
        char label[200];

        if (report_state(tree) == OUTCOME__STATE__CARRIED && tree->n_degraded == 0)
                return;
        snprintf(label, sizeof label, "%.150s %s%s", name ?: "?", report_state_text(report_state(tree)),
                 outcome && outcome->reason ? ": " : "");
        text_paragraph(out, 2, label, outcome && outcome->reason ? outcome->reason : "");
        notes(out, tree->degraded, tree->n_degraded);
        images(out, tree, true);
}

void report_headline(FILE *out, const Ticket *report, bool colour) {
        headline(out, report, colour ? &colours : &plain);
        if (report->stopped)
                text_paragraph(out, 3, "Because: ", report->stopped);
}

void report_answer(FILE *out, const Ticket *report, bool colour) {
        report_headline(out, report, colour);
        for (size_t i = 0; i < report->n_trees; i++)
                lost_or_degraded(out, report->trees[i]);
        not_kept(out, report);
}

void report_details(FILE *out, const Ticket *report, bool newest, bool colour) {
        figures(out, report);
        trees(out, report, newest, colour ? &colours : &plain);
        not_kept(out, report);
}

void report_steps(FILE *out, const Ticket *report, bool colour) {
        steps(out, report, colour ? &colours : &plain);
}

/* The words are those of the JSON's verdict. */
static void history_line(FILE *out, size_t number, const Ticket *report, const Paint *paint) {
        ReportVerdict verdict = report_verdict(report);
        bool jumped = verdict != REPORT_STOPPED && verdict != REPORT_PENDING;
        _cleanup_(freep) char *kernel = text_printable(jumped ? report->new_kernel : report->old_kernel);
        uint64_t gap = report_gap(report);
        char when[REPORT_MOMENT_SIZE], carried[32], silent[32] = "-";

        text_moment(report->has_done_at ? report->done_at : report->sealed_at, false, when);
        snprintf(carried, sizeof carried, "%zu of %zu", report_count(report, OUTCOME__STATE__CARRIED),
                 report->n_trees + report_not_kept(report));
        if (gap > 0)
                snprintf(silent, sizeof silent, "%.1f s", (double)gap / USEC_PER_SEC);
        fprintf(out, "%3zu  %-16s  %s%-7s%s  %-9s  %8s  %s%s\n", number, when, verdict_paint(paint, verdict),
                report_verdict_text(verdict), paint->off, carried, silent, kernel ?: "?",
                report_is_soft(report) ? " (soft-reboot)" : "");
}

void report_history(FILE *out, Ticket *const *reports, size_t n, bool colour) {
        const Paint *paint = colour ? &colours : &plain;

        if (n > 0)
                fprintf(out, "%s%3s  %-16s  %-7s  %-9s  %8s  %s%s\n", paint->dim, "NR", "TIME", "RESULT",
                        "CARRIED", "GAP", "LINUX", paint->off);
        for (size_t i = 0; i < n; i++)
                history_line(out, i + 1, reports[i], paint);
}

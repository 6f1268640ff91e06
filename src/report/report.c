/* SPDX-License-Identifier: GPL-2.0-or-later */

#include "report/report.h"

#include "base/cleanup.h"

#include <stdlib.h>
#include <string.h>

Outcome__State report_state(const Tree *tree) {
        return tree->outcome ? tree->outcome->state : OUTCOME__STATE__PENDING;
}

size_t report_count(const Ticket *report, Outcome__State state) {
        size_t n = 0;

        for (size_t i = 0; i < report->n_trees; i++)
                n += report_state(report->trees[i]) == state;
        return n;
}

bool report_may_retry(const Tree *tree, bool force) {
        Outcome__State state = report_state(tree);

        return tree->outcome && tree->outcome->images &&
               (state == OUTCOME__STATE__FAILED || (force && state == OUTCOME__STATE__LOST));
}

size_t report_not_kept(const Ticket *report) {
        size_t n = 0;

        for (size_t i = 0; i < report->n_ended; i++)
                n += report->ended[i]->has_count ? report->ended[i]->count : 1;
        return n;
}

ReportVerdict report_verdict(const Ticket *report) {
        size_t carried = 0, left = 0;

        for (size_t i = 0; i < report->n_trees; i++) {
                Outcome__State state = report_state(report->trees[i]);

                if (state == OUTCOME__STATE__PENDING)
                        return REPORT_PENDING;
                carried += state == OUTCOME__STATE__CARRIED;
                left += state == OUTCOME__STATE__LEFT;
        }
        if (report->stopped && carried + left == report->n_trees)
                return REPORT_STOPPED;
        if (carried == report->n_trees)
                return report->n_ended > 0 ? REPORT_PARTLY : REPORT_CARRIED;
        if (left == report->n_trees)
                return REPORT_STOPPED;
        return carried ? REPORT_PARTLY : REPORT_FAILED;
}

bool report_ok(const Ticket *report) {
        return report_verdict(report) == REPORT_CARRIED;
}

bool report_is_soft(const Ticket *report) {
        return !report->stopped && !report->retry && report->new_boot &&
               strcmp(report->old_boot, report->new_boot) == 0 && strcmp(report->action, "soft-reboot") == 0;
}

bool report_trees_ok(const Ticket *report) {
        for (size_t i = 0; i < report->n_trees; i++)
                if (report_state(report->trees[i]) != OUTCOME__STATE__CARRIED)
                        return false;
        return report_verdict(report) != REPORT_STOPPED;
}

const char *report_verdict_text(ReportVerdict verdict) {
        static const char *const texts[] = {
                        [REPORT_PENDING] = "pending", [REPORT_CARRIED] = "carried",
                        [REPORT_PARTLY] = "partly",   [REPORT_FAILED] = "failed",
                        [REPORT_STOPPED] = "stopped",
        };

        return texts[verdict];
}

/* The number comes out of a file: one that this version does not know is no reason to read beyond a
 * table. */
const char *report_state_text(Outcome__State state) {
        switch (state) {
        case OUTCOME__STATE__PENDING:
                return "pending";
        case OUTCOME__STATE__CARRIED:
                return "carried";
        case OUTCOME__STATE__FAILED:
                return "failed";
        case OUTCOME__STATE__LOST:
                return "lost";
        case OUTCOME__STATE__LEFT:
                return "left";
        default:
                return "unknown";
        }
}

const char *report_phase_text(ReportPhase phase) {
        static const char *const texts[] = {
                        [PHASE_IDLE] = "idle",
                        [PHASE_SEALED] = "sealed",
                        [PHASE_RESTORING] = "restoring",
                        [PHASE_INTERRUPTED] = "interrupted",
        };

        return texts[phase];
}

static int by_begin(const void *a, const void *b) {
        const Step *x = *(Step *const *)a, *y = *(Step *const *)b;

        if (x->after_jump != y->after_jump)
                return x->after_jump ? 1 : -1;
        return x->realtime < y->realtime ? -1 : x->realtime > y->realtime;
}

Step **report_steps_sorted(const Ticket *report) {
        Step **sorted = report->n_steps ? reallocarray(NULL, report->n_steps, sizeof *sorted) : NULL;

        if (!sorted)
                return NULL;
        memcpy(sorted, report->steps, report->n_steps * sizeof *sorted);
        qsort(sorted, report->n_steps, sizeof *sorted, by_begin);
        return sorted;
}

uint64_t report_gap(const Ticket *report) {
        uint64_t longest = 0;

        for (size_t i = 0; i < report->n_trees; i++) {
                const Outcome *outcome = report->trees[i]->outcome;

                if (report_state(report->trees[i]) == OUTCOME__STATE__CARRIED && outcome->has_gap &&
                    outcome->gap > longest)
                        longest = outcome->gap;
        }
        return longest;
}

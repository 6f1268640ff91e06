/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/*
 * What the user sees of a save and a restore. The report is the ticket with its outcomes filled in; a save
 * that was stopped before the seal is a report whose trees are all LEFT, and one whose jump did not happen
 * has them CARRIED in the old kernel, and says why.
 *
 * Never changes anything. What comes from a ticket (names of processes, reasons that quote CRIU) is shown
 * with everything but printable ASCII replaced: a process name must not speak to the administrator's
 * terminal.
 */

#include "model/model.h"

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

typedef enum ReportVerdict {
        REPORT_PENDING, /* a tree's outcome is open: sealed, or a restore is under way */
        REPORT_CARRIED, /* every tree, and nothing else has ended */
        REPORT_PARTLY,  /* some trees, or all, but what was not kept has ended */
        REPORT_FAILED,  /* no tree */
        REPORT_STOPPED, /* there was no jump: every tree lives on, or again, where it was, or was left to a
                         * shutdown of somebody else's */
} ReportVerdict;

ReportVerdict report_verdict(const Ticket *report);
bool report_ok(const Ticket *report); /* REPORT_CARRIED */
/* Its trees went over a restart of user space alone, in the kernel that they were in. */
bool report_is_soft(const Ticket *report);
/* Every tree was carried, whatever else has ended. */
bool report_trees_ok(const Ticket *report);
/* How many things the save has not kept at all, or not wholly (inspect/census.h, census_ended()). */
size_t report_not_kept(const Ticket *report);
const char *
report_verdict_text(ReportVerdict verdict);    /* "pending", "carried", "partly", "failed", "stopped" */
Outcome__State report_state(const Tree *tree); /* PENDING as long as it has no outcome */
size_t report_count(const Ticket *report, Outcome__State state);
/* Whether `carryover restore` may try it once more: it has failed, or is lost and it is forced, and its
 * images are kept. */
bool report_may_retry(const Tree *tree, bool force);
const char *report_state_text(Outcome__State state); /* "pending", "carried", "failed", "lost", "left" */

/* The longest gap of the carried trees in microseconds; 0 if none was carried. */
uint64_t report_gap(const Ticket *report);

/* The steps in the order in which they began; the report has them in the order in which they ended. The
 * caller frees the array. NULL: there are none, or no memory. */
Step **report_steps_sorted(const Ticket *report);

/* The timeline as a picture. -ENODATA with a sentence: the report has no steps. -EIO, -ENOMEM. */
int report_svg(FILE *out, const Ticket *report);

/*
 * For people, at most 80 columns wide, but no path or name is broken. In one line what became of it, and why
 * it was stopped; that line, and then only what was lost or degraded; the figures and every tree, of the
 * newest save with how to retry what has failed; where the time went.
 */
void report_headline(FILE *out, const Ticket *report, bool colour);
void report_answer(FILE *out, const Ticket *report, bool colour);
void report_details(FILE *out, const Ticket *report, bool newest, bool colour);
void report_steps(FILE *out, const Ticket *report, bool colour);
/* The first line, of any width. The caller frees; NULL: -ENOMEM. */
char *report_sentence(const Ticket *report);
/* A row for each save, with its number from 1, its time, verdict, gap, and the kernel that it led to. */
void report_history(FILE *out, Ticket *const *reports, size_t n, bool colour);

/* What stands now, beside the last report. */
typedef enum ReportPhase {
        PHASE_IDLE,
        PHASE_SEALED,      /* a ticket waits for the next boot */
        PHASE_RESTORING,   /* claimed in this boot and not ended */
        PHASE_INTERRUPTED, /* claimed in an earlier boot, which did not end it */
} ReportPhase;

typedef struct ReportNow {
        ReportPhase phase;
        bool hold;             /* packet rules of ours stand */
        uint64_t held;         /* connections in them */
        uint64_t kept;         /* trees, as `carryover list` shows them */
        uint64_t gone;         /* targets on the keep list of which nothing is there any more */
        char scheduled[16];    /* the shutdown that somebody has scheduled: "reboot"; empty: none */
        uint64_t scheduled_at; /* realtime */
} ReportNow;

const char *report_phase_text(ReportPhase phase); /* "idle", "sealed", "restoring", "interrupted" */

/* "Scheduled: reboot at Sun 2026-11-29 13:05:00 UTC: kept trees will be carried", or nothing. */
void report_scheduled(FILE *out, const ReportNow *now);

/*
 * One JSON object and a newline: the fields of carryover(1), "JSON". `report` may be NULL: there never was a
 * save. `now` may be NULL: its fields are left out. Fields are added, never renamed or removed. -ENOMEM, or
 * -EIO if `out` does not take it.
 */
int report_json(FILE *out, const Ticket *report, const ReportNow *now, bool pretty);

/* An array of such objects, without `now`. Likewise. */
int report_history_json(FILE *out, Ticket *const *reports, size_t n, bool pretty);

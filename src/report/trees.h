/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/* Trees before a save, and what preflight says of them, for people and for programs. Like report.h: never
 * changes anything, and shows names with everything but printable ASCII replaced. */

#include "model/candidate.h"
#include "report/style.h"

#include <stdbool.h>
#include <stdio.h>

/* Name, state, what it is, and the notes with their remedies. */
void report_tree(FILE *out, const Candidate *candidate, ReportStyle style);
void report_machine(FILE *out, const Verdict *verdict, ReportStyle style);

#define REPORT_USER_SIZE 64u

/* The name of whose tree it is, as logind or files/user.h know it. */
void report_user(const Tree *tree, char ret[static REPORT_USER_SIZE]);

const char *report_why_text(CandidateWhy why); /* "keep", "configuration", NULL: it is only asked about */

/* {"trees": […], "machine": …, "gone": […]}, with verdicts if there are any (judged). Fields as in
 * carryover(1), "JSON"; they are added, never renamed or removed. */
int report_trees_json(FILE *out, const Candidates *candidates, bool pretty);

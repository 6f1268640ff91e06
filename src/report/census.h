/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/* What a reboot now would end, for people and for programs. Like report.h: never changes anything, and shows
 * names with everything but printable ASCII replaced. */

#include "model/census.h"
#include "model/verdict.h"
#include "report/trees.h"

/* The rows, then the sum; at most 80 columns. anew: with a row for each service that starts anew, too. */
void report_census(FILE *out, const Census *census, bool anew, ReportStyle style);

/* What is lost or has losses, at most `max` rows, and then how many more there are; nothing if there is
 * none; or that it cannot be told. */
void report_census_lost(FILE *out, const Census *census, size_t max, ReportStyle style);

/* Fields as in carryover(1), "JSON"; they are added, never renamed or removed. */
int report_census_json(FILE *out, const Census *census, const Verdict *machine, bool pretty);

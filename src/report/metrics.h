/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/* The same facts for whoever watches many machines. */

#include "model/verdict.h"
#include "report/report.h"

/* What is measured beside the last report. */
typedef struct ReportMeasures {
        VerdictLevel check;   /* of a save now: the worst of the machine and of what is kept */
        uint64_t store_bytes; /* that all files of the store take */
} ReportMeasures;

/*
 * OpenMetrics 1.0, with the metrics of carryover(1), "METRICS". All are gauges without exemplars and without
 * a time, so that the older text format of Prometheus, which node_exporter reads, means the same.
 * report: NULL: there never was a save, and its metrics are left out. -EIO: `out` does not take it.
 */
int report_metrics(FILE *out, const Ticket *report, const ReportNow *now, const ReportMeasures *measures);

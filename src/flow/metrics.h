/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/* `carryover status --openmetrics`, and the file that carryover-metrics.service keeps for node_exporter. */

#include "base/exit.h"

#include <stdio.h>

/* What stands now, what was, and what a save now would be (report/metrics.h). Nothing is written if it
 * cannot be found out. */
int metrics_write(FILE *out);

/* carryover-metrics.service: the same as carryover.prom in MetricsDirectory=, in one step. */
ExitStatus flow_metrics(void);

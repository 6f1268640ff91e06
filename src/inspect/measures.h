/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/* What whoever watches many machines wants to know beside the last report. Changes nothing. */

#include "model/config.h"
#include "report/metrics.h"

int measures_take(const Config *config, ReportMeasures *ret);

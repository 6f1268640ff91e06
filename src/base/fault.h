/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/*
 * Named fault points: every commit point has one, so that a test can stop exactly there. Compiled in only
 * with -Dfaults=true; then the words `carryover.fault=NAME` on the kernel command line, or
 * CARRYOVER_FAULT=NAME in the environment, make that point fail once with -EIO; NAME:kill kills the process
 * instead.
 */

#include "config-build.h"

#if WITH_FAULTS
int fault_point(const char *name);
#else
static inline int fault_point(const char *name) {
        (void)name;
        return 0;
}
#endif

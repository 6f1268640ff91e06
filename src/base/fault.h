/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/*
 * Named fault points: every commit point has one, so that a test can stop exactly there. Compiled in only
 * with -Dfaults=true; then `carryover.fault=NAME` on the kernel command line, or in the file FAULT_WISHES,
 * makes that point fail with -EIO. With a way behind the name:
 *
 *         NAME:kill    SIGKILL to the process itself
 *         NAME:crash   the same, each time that it gets there
 *         NAME:hang    says so in the kernel's log and waits for ever: for who cuts the power then
 *         NAME:hook    runs FAULT_HOOK with the name and goes on when that has ended: to kill CRIU, to
 *                      fill the disk or to break it
 *
 * All but crash happen once in a boot: FAULT_DONE followed by the name says that it has (remove it for
 * another time). `carryover --list-faults` prints the names; the test that walks them knows no others.
 */

#include "config-build.h"

#define FAULT_WISHES "/run/carryover-faults"
#define FAULT_HOOK   "/etc/carryover/fault-hook"
#define FAULT_DONE   "/run/carryover-fault."

#if WITH_FAULTS
/* The names, NULL-terminated, in the order in which a way of a session comes by them. */
extern const char *const fault_names[];
int fault_point(const char *name);
#else
static inline int fault_point(const char *name) {
        (void)name;
        return 0;
}
#endif

/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/*
 * What the verbs and our programs end with; carryover(1) says the same. A function that returns an
 * ExitStatus has said already why it is not EXIT_OK, and returns neither an errno nor a count.
 */

typedef enum ExitStatus {
        EXIT_OK = 0,
        EXIT_FAILED = 1,
        EXIT_USAGE = 2,   /* wrong words, or more than one tree that they could mean */
        EXIT_NOTHING = 3, /* nothing is kept */
        EXIT_REFUSED = 4, /* by preflight, or because it must never be carried */
} ExitStatus;

/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/* What check, keep, drop and list begin with. */

#include "cli/cli.h"
#include "flow/facts.h"
#include "flow/kept.h"

/* The trees of the call's TARGET, or of the caller's session. Errors as in select/select.h. */
int target_trees(const CliCall *call, Trees *ret);

/* The same, looked at in depth. Returns the exit status, and has said on stderr why it is not EXIT_OK. */
ExitStatus target_inspect(const CliCall *call, Trees *ret, Inspection *ret_inspection);

/* EXIT_REFUSED with one line on stderr, "consequence: why", if anything is refused; else EXIT_OK. */
ExitStatus target_refused(const Inspection *inspection, const char *consequence);

/* Shows trees with their verdicts as the call wants it. Returns the exit status. */
ExitStatus target_show(const CliCall *call, const Trees *trees, const Inspection *inspection);

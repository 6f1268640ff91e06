/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/* What check and keep begin with. */

#include "cli/cli.h"
#include "flow/keep.h"

/* The trees of the call's TARGET, or of the caller's session, looked at in depth; the caller releases them.
 * Has said on stderr why it is not EXIT_OK. */
ExitStatus target_inspect(const CliCall *call, Candidates *ret);

/* EXIT_REFUSED with one line on stderr, "consequence: why", if anything is refused; else EXIT_OK. */
ExitStatus target_refused(const Candidates *trees, const char *consequence);

/* Shows trees with their verdicts as the call wants it. Returns the exit status. */
ExitStatus target_show(const CliCall *call, const Candidates *trees);

/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/* How verbs show things: colours only on a terminal that wants them, long output page by page. */

#include "cli/cli.h"
#include "report/trees.h"

/* From here stdout is read in a pager if it is a terminal and the call allows it; output_end() waits until
 * it was left. Without a pager both do nothing. */
void output_begin(const CliCall *call);
void output_end(void);

/* Valid after output_begin(): the pager passes colours on. */
ReportStyle output_style(void);

/* EXIT_OK, or EXIT_FAILED with a line on stderr if stdout did not take everything. */
ExitStatus output_finish(void);

/* A table with a header line, columns as wide as they need: header has `columns` texts, cells n times as
 * many. Texts are made printable, and on a terminal the widest ones are cut until a row fits on a line. */
void output_table(const char *const *header, const char *const *cells, size_t columns, size_t n);

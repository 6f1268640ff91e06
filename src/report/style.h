/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/* What the terminal is that something is shown on. */

#include <stdbool.h>

typedef struct ReportStyle {
        bool colour;
        bool utf8; /* the terminal's: "●" and "→", else "*" and "->" */
} ReportStyle;

/* Of standard output: colours on a terminal only, and neither with TERM=dumb nor with NO_COLOR; UTF-8 as the
 * environment has it. Opens and maps nothing: who asks may be saved next. */
ReportStyle report_style(void);

/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/* Text that others wrote, made fit to be shown. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#define REPORT_COLUMNS 80u /* a terminal's that nobody has made wider */

/* A copy with everything but printable ASCII replaced by '?'. NULL gives "". Caller frees; NULL on
 * -ENOMEM. */
char *text_printable(const char *text);

/* Writes `label` and `text` (made printable) indented by `indent`, broken between words before
 * REPORT_COLUMNS; further lines are indented to where the text began. A word that is longer than a line
 * stays whole. */
void text_paragraph(FILE *out, size_t indent, const char *label, const char *text);

/* Writes `text` (made printable) from column `at`, where the line stands, broken between words before
 * `columns`; further lines are indented to where it began. cuts: a word that is longer than a line is
 * broken, else it stays whole. Ends the line. */
void text_flow(FILE *out, size_t at, size_t columns, bool cuts, const char *text);

#define REPORT_MOMENT_SIZE 64

/* A realtime in microseconds as local time, with the day of the week and the zone if it is full. Fails soft:
 * one that localtime does not know is the number that it is. */
void text_moment(uint64_t realtime, bool full, char out[static REPORT_MOMENT_SIZE]);

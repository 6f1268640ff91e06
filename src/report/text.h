/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/* Text that others wrote, made fit to be shown. */

#include <stddef.h>
#include <stdio.h>

#define REPORT_COLUMNS 100u

/* A copy with everything but printable ASCII replaced by '?'. NULL gives "". Caller frees; NULL on
 * -ENOMEM. */
char *text_printable(const char *text);

/* A copy in which every byte that is no part of a well-formed UTF-8 sequence is '?': what JSON wants.
 * Likewise. */
char *text_utf8(const char *text);

/* Writes `label` and `text` (made printable) indented by `indent`, broken between words before
 * REPORT_COLUMNS; further lines are indented to where the text began. A word that is longer than a line
 * stays whole. */
void text_paragraph(FILE *out, size_t indent, const char *label, const char *text);

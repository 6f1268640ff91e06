/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/* What a shell completes, made of the verbs that there are. */

#include "cli/cli.h"

typedef struct CliTable {
        const CliVerb *verbs;
        size_t n_verbs;
        const CliOption *globals; /* of every verb; the first ones of those that show something */
        size_t n_globals, n_shows;
} CliTable;

/* Prints the completion for "bash", "zsh" or "fish" on stdout; false: for no other shell. */
bool completion_print(const CliTable *table, const char *shell);

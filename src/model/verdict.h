/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/* What preflight says of one tree, or of the machine as a whole, before anything is touched. */

#include "model/model.h"

typedef enum VerdictLevel {
        VERDICT_OK = 0,
        VERDICT_DEGRADED = 1, /* will be carried; the notes say what will be lost */
        VERDICT_REFUSED = 2,  /* will not; the notes say why and the remedy */
} VerdictLevel;

typedef struct VerdictNote {
        VerdictLevel level;
        char *what;   /* stable short name, "io-uring" */
        char *text;   /* one sentence */
        char *remedy; /* or NULL */
} VerdictNote;

typedef struct Verdict {
        VerdictLevel level; /* the worst of the notes */
        VerdictNote *notes;
        size_t n_notes;
} Verdict;

void verdict_done(Verdict *v); /* releases the notes, leaves an empty ok verdict */

/* Nobody reads more, and a tree of many descriptors could have as many. */
#define VERDICT_NOTES_MAX 1000u

/* Adds a note (the same what+text only once) and raises the level. Of more notes than VERDICT_NOTES_MAX only
 * one that raises it is added. */
int verdict_add(Verdict *v, VerdictLevel level, const char *what, const char *remedy, const char *format,
                ...) __attribute__((format(printf, 5, 6)));

/* The first note that refuses, or NULL. */
const VerdictNote *verdict_refusal(const Verdict *v);

/* Whether one of the notes has this short name. */
bool verdict_has(const Verdict *v, const char *what);

const char *verdict_level_text(VerdictLevel level); /* "ok", "degraded", "refused" */

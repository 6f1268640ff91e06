/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/* Trees that may be carried, before they are saved: what select finds, and what preflight says of each. */

#include "model/snapshot.h"
#include "model/verdict.h"

/* Of the store: bytes of images and of files that no boot brings, and how many names the latter have. Of the
 * next kernel: bytes in huge pages. They have no limit of their own. */
typedef struct StoreShare {
        uint64_t bytes, names, huge;
} StoreShare;

/* What keeps a tree. */
typedef enum CandidateWhy {
        WHY_ASKED,  /* somebody asks about it */
        WHY_KEEP,   /* the keep list */
        WHY_CONFIG, /* the rule of the configuration */
} CandidateWhy;

typedef struct Candidate {
        Tree *tree;
        CandidateWhy why;
        Verdict verdict;
        StoreShare needs; /* about; unknown for what is refused */
        StoreShare limit; /* what it may have when it is frozen; nothing if it is refused */
} Candidate;

typedef struct Candidates {
        Candidate *items;
        size_t n;
        char **gone; /* targets on the keep list of which nothing is there any more */
        size_t n_gone;
        char *refused; /* why a target that is there cannot be kept any more, or NULL */
        bool given;    /* the trees are a ticket's (candidates_give()), and live as long as that */
        bool judged; /* by inspect() (inspect/facts.h): what follows is filled in, and so are the verdicts */
        Snapshot *full;
        Verdict machine;
} Candidates;

void candidates_done(Candidates *c);

/* Back to what they were before they were judged. */
void candidates_forget(Candidates *c);

/* Takes the tree, also if it fails (-ENOMEM). */
int candidates_add(Candidates *c, Tree *tree);

/* The ticket has these trees from now on, and no others. 0 or -ENOMEM. */
int candidates_give(Candidates *c, Ticket *ticket);

/* The trees as an array, which the caller frees; NULL: there are none, or no memory. */
Tree **candidates_trees(const Candidates *c);

/* The one at this place goes, the others close up. */
void candidates_remove(Candidates *c, size_t i);

/* The worst of the machine and of all trees. */
VerdictLevel candidates_level(const Candidates *c);

/* Whether the machine or a tree is refused. *ret: the first refusal, the machine's before a tree's, with its
 * remedy, as one sentence that the caller frees; NULL: nothing is refused, or no memory. */
bool candidates_refused(const Candidates *c, char **ret);

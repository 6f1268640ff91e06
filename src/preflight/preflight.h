/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/*
 * Whether a tree can be carried, and as how much of itself, said before anything is touched. Pure: a
 * snapshot and facts in, a verdict out.
 *
 * refused: CRIU would fail, or what came back would not be the same program; degraded: it will come back,
 * and the notes say what it will miss; ok notes tell what may take longer.
 *
 * Never says "ok" for a kind of descriptor that it does not know. What no interface shows (a landlock
 * domain, a SysV semaphore) it cannot see.
 */

#include "model/candidate.h"
#include "model/snapshot.h"
#include "model/verdict.h"
#include "preflight/facts.h"

/* `s` is a SNAP_FULL one of this tree. 0 with *ret filled (release with verdict_done()), -ENOMEM, or
 * -ENODATA if the facts are not complete (preflight_facts_complete()). */
int preflight_tree(const Snapshot *s, const Tree *tree, const PreflightFacts *facts, Verdict *ret);

/* Of all trees together, once each has its verdict: adds what those lose that have a connection with
 * somebody on this machine who is not carried, and refuses those that need another tree back first. */
int preflight_peers(const Snapshot *s, Candidate *candidates, size_t n);

/* Whether all that refuses it may have ended, or been taken, since the snapshot was begun: a second look
 * will tell. */
bool preflight_may_pass(const Verdict *v);

/* As preflight_tree(). */
int preflight_machine(const PreflightFacts *facts, Verdict *ret);

/* By what each needs: refuses, with a note in its verdict, a tree that is beyond its user's limit or does
 * not fit, and sets the limits of the others. */
int preflight_limits(const PreflightFacts *facts, Candidate *candidates, size_t n);

/* Likewise of huge pages that a restore must make, of all trees together. Before preflight_limits(): whoever
 * is refused here leaves his room to the others. */
int preflight_huge(const Snapshot *s, Candidate *candidates, size_t n);

int preflight_needs(const Snapshot *s, const Tree *tree, PreflightNeeds *ret);

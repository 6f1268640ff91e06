/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/*
 * Whether a tree can be carried, and as how much of itself, said before anything is touched. Pure: a
 * snapshot and facts in, a verdict out.
 *
 * refused: CRIU would fail, or what came back would not be the same program; degraded: it will come back,
 * and the notes say what it will miss; ok notes tell what may take longer.
 *
 * Never says "ok" for a kind of descriptor that it does not know. What no interface shows (a corked UDP
 * socket, a landlock domain, a SysV semaphore) it cannot see.
 */

#include "model/snapshot.h"
#include "model/verdict.h"
#include "preflight/facts.h"

/* `s` is a SNAP_FULL one of this tree. 0 with *ret filled (release with verdict_done()), -ENOMEM, or
 * -ENODATA if the facts are not complete (preflight_facts_complete()). */
int preflight_tree(const Snapshot *s, const Tree *tree, const PreflightFacts *facts, Verdict *ret);

/* Of all trees together, once each has its verdict: adds what those lose that have a connection with
 * somebody on this machine who is not carried. */
int preflight_peers(const Snapshot *s, Tree *const *trees, size_t n, Verdict *verdicts);

/* Whether all that refuses it may have ended, or been taken, since the snapshot was begun: a second look
 * will tell. */
bool preflight_may_pass(const Verdict *v);

/* As preflight_tree(). */
int preflight_machine(const PreflightFacts *facts, Verdict *ret);

/* What the files of a tree that no boot brings may come to, and its images with them. */
typedef struct PreflightLimit {
        uint64_t bytes, names;
} PreflightLimit;

/* What a tree asks of the store, and whose it is. */
typedef struct PreflightClaim {
        uint32_t uid;
        uint64_t bytes, names; /* PreflightNeeds */
        bool refused;          /* for whatever reason */
        PreflightLimit limit;  /* answer: what it may have, with what it grows until the freeze */
} PreflightClaim;

/* Refuses, each with a note in its verdict, trees that are beyond their user's limit or do not fit. */
int preflight_limits(const PreflightFacts *facts, PreflightClaim *claims, size_t n,
                     Verdict *const *verdicts);

int preflight_needs(const Snapshot *s, const Tree *tree, PreflightNeeds *ret);

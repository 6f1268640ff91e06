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

/* About the machine. The sentences are NULL where all is well; release with preflight_facts_done(). */
typedef struct PreflightFacts {
        char *criu_error;    /* none found, or `criu check` says that it cannot work on this kernel */
        bool criu_lock_skip; /* network_lock SKIP: also the mark of a CRIU that knows no_new_privs and pidfds
                              */
        char *service_error; /* carryover.service would not hear of a shutdown */
        char *retry_left;    /* what of the last save can still be tried again, but not after another one */
        char *waiting;       /* what of the last save is not back yet: it goes along */
        char *store_error;   /* it cannot be opened, or not be written to */
        uint64_t store_free; /* bytes */
        uint64_t max_use, max_use_per_user; /* bytes that may be taken of it */
        uint64_t max_processes, max_files;  /* of one tree; 0: no matter. max_files is also how many names
                                               one user's trees may have that no boot brings */
        char *hold_error;                   /* packets cannot be held on this kernel */
        char *kexec_error;                  /* kexec is not allowed here */
        char *kernel_error;                 /* no kernel that sessions can be carried into */
        char *target_error;                 /* CRIU cannot restore on the kernel that comes next */
        bool encrypt; /* images are encrypted: all of them are in memory first, beside what they are of, and
                         no other way than a kexec carries their key */
        uint64_t memory_free; /* bytes, for that */
        char *encrypt_error;  /* it cannot be done, or this is no kexec */
        char *profiles;       /* of AppArmor that are loaded (model/label.h); NULL: it does not run */
        bool must_kexec;      /* the jump was asked for: what forbids it refuses */
        bool frozen;          /* CRIU holds the tree: it traces all of it, and nothing changes any more */
} PreflightFacts;

void preflight_facts_done(PreflightFacts *facts);

/* What a tree's images take: memory, files that have no name any more or that no boot brings, with the
 * directories of those, 1.2 times (page tables, headers
 * and what grows until the freeze), and the largest such file, which CRIU's ghost limit must allow. */
typedef struct PreflightNeeds {
        uint64_t bytes;
        uint64_t names; /* of files and directories that no boot brings */
        uint64_t ghost_max;
} PreflightNeeds;

/* `s` is a SNAP_FULL one of this tree. 0 with *ret filled (release with verdict_done()), or -ENOMEM. */
int preflight_tree(const Snapshot *s, const Tree *tree, const PreflightFacts *facts, Verdict *ret);

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

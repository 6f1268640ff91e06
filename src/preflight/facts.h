/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/* What a verdict is made of, beside the snapshot of the tree. */

#include <stdbool.h>
#include <stdint.h>

/* About the machine. The sentences are NULL where all is well, and only there: flow/facts.c alone fills this
 * in; release with preflight_facts_done(). */
typedef struct PreflightFacts {
        char *criu_error; /* none found, or `criu check` says that it cannot work on this kernel */
        bool criu_no_new_privs, criu_ambient, criu_pidfds; /* it saves them (CriuFeatures) */
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
        char *profiles_error; /* it runs, and nobody can tell which */
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

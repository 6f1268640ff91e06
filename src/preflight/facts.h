/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/* What a verdict is made of, beside the snapshot of the tree. */

#include "model/criu-saves.h"

#include <stdbool.h>
#include <stdint.h>

/* What must be established before a verdict is given. */
typedef enum PreflightFact {
        FACT_CRIU,     /* there is one, and `criu check` says that it works on this kernel */
        FACT_FEATURES, /* what this CRIU saves */
        FACT_TARGET,   /* CRIU can restore on the kernel that comes next */
        FACT_SERVICE,  /* carryover.service will hear of a shutdown */
        FACT_STORE,    /* it can be opened and written to */
        FACT_ROOM,     /* what room there is in the store, and what of it may be used */
        FACT_RETRY,    /* nothing of the last save can still be tried again, but not after another one */
        FACT_WAITING,  /* nothing of the last save waits, and goes along */
        FACT_PROFILES, /* which profiles of AppArmor are loaded */
        FACT_HOLD,     /* packets can be held on this kernel */
        FACT_ENCRYPT,  /* whether images are encrypted; if so, it can be done, and the key has a way */
        FACT_KEXEC,    /* kexec is allowed here */
        FACT_KERNEL,   /* there is a kernel that sessions can be carried into */
        FACT_INHIBIT,  /* nobody inhibits a shutdown */
        FACT_N
} PreflightFact;

#define FACT(name) (UINT32_C(1) << FACT_##name)

/* What a request asks before it begins a shutdown. A save asks for itself what of it matters to it. */
#define FACTS_OF_REQUEST                                                                                    \
        (FACT(CRIU) | FACT(TARGET) | FACT(SERVICE) | FACT(STORE) | FACT(RETRY) | FACT(WAITING) |            \
         FACT(PROFILES) | FACT(HOLD) | FACT(KEXEC) | FACT(KERNEL) | FACT(INHIBIT))

/*
 * About the machine. Each fact is in one of the three sets, or there is no verdict: what nobody looked at
 * must not read as fine. A fact that was not asked is left out on purpose. One that is not known has a
 * sentence why, and is never worse than degraded. One that is known is fine if it has no sentence.
 * inspect/facts.c alone fills this in; release with preflight_facts_done().
 */
typedef struct PreflightFacts {
        uint32_t known, not_known, not_asked; /* sets of FACT() */
        char *wrong[FACT_N];                  /* sentences */
        CriuSaves criu;                       /* of FACT_FEATURES */
        /* Of FACT_ROOM, in bytes: what is free, and what may be taken. */
        uint64_t store_free, max_use, max_use_per_user;
        /* Of FACT_ROOM, of one tree; 0: no matter. max_files is also how many names one user's trees may
         * have that no boot brings. */
        uint64_t max_processes, max_files;
        /* Of FACT_ENCRYPT: all images are in memory first, beside what they are of, and no other way than a
         * kexec carries their key. */
        bool encrypt;
        uint64_t memory_free; /* bytes, for that */
        char *profiles;       /* of FACT_PROFILES (model/label.h); NULL: AppArmor does not run */
        bool masked;          /* of FACT_SERVICE: somebody has forbidden its start */
        bool must_kexec;      /* the jump was asked for: what forbids it refuses, and is no mere note */
        bool must_obey;       /* inhibitors: what they ask for refuses, likewise */
        bool overridden;      /* or whoever asked for the reboot has said that they do not count */
        bool frozen;          /* CRIU holds the tree: it traces all of it, and nothing changes any more */
} PreflightFacts;

/* What asking for a fact came to: the sentence of a failure is kept, as what is wrong. 0 or -ENOMEM. */
int preflight_know(PreflightFacts *facts, PreflightFact fact, int r);
/* Likewise, where a failure leaves the question open. */
int preflight_know_if(PreflightFacts *facts, PreflightFact fact, int r);

/* -ENODATA with a sentence that names the first fact that nobody has established. Where the store or CRIU is
 * wrong, what rests on it need not be. */
int preflight_facts_complete(const PreflightFacts *facts);

void preflight_facts_done(PreflightFacts *facts);

/* What a tree's images take: memory, files that have no name any more or that no boot brings, with the
 * directories of those, 1.2 times (page tables, headers
 * and what grows until the freeze), and the largest such file, which CRIU's ghost limit must allow. */
typedef struct PreflightNeeds {
        uint64_t bytes;
        uint64_t names; /* of files and directories that no boot brings */
        uint64_t ghost_max;
        uint64_t huge; /* bytes in huge pages that its restore reserves */
} PreflightNeeds;

/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/* What select and preflight are asked about, gathered from the system: both are pure and never look
 * themselves. */

#include "criu/criu.h"
#include "model/config.h"
#include "model/model.h"
#include "preflight/preflight.h"
#include "select/select.h"
#include "store/store.h"

/* Processes and login sessions as they are now. */
typedef struct World {
        Snapshot *all;
        Session **sessions;
        size_t n_sessions;
} World;

int world_look(World *ret);
void world_done(World *world);
SelectWorld world_select(const World *world); /* valid as long as the world is */

/*
 * The machine: CRIU and what it says of this kernel, our service, the store, the hold, whether CRIU will do
 * on the next kernel (NULL: the newest), and for a kexec whether it is allowed and that kernel can be jumped
 * into. What is wrong is a sentence in the answer; the gathering itself fails with -ENOMEM only.
 */
int facts_gather(const Config *config, const char *kernel, bool kexec, PreflightFacts *ret);

/* For a save, which asks for itself what facts_gather() does of the rest: what this CRIU saves, the room in
 * the store and what encryption needs. */
int facts_of_save(const Config *config, const Store *store, const CriuFeatures *features, bool kexec,
                  PreflightFacts *ret);

/* For one tree that CRIU holds, and that may take `bytes`. Nothing of it needs a release. */
PreflightFacts facts_of_frozen(const Config *config, const CriuFeatures *features, uint64_t bytes);

/* What room there is in the store, and what may be used of it. */
int facts_room(const Config *config, const Store *store, PreflightFacts *facts);

/* Looks at the trees with all that they hold, and describes them (select_describe()); fills in what
 * preflight says of each and of the machine, and what each may have of the store. */
int inspect(const PreflightFacts *facts, Candidates *candidates);

/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/*
 * Saving one tree: CRIU's dump with a two-phase commit. The original dies only after ready() has returned 0,
 * and ready() is called only when the images are complete, checked, corrected, checksummed and on disk.
 * Whatever fails before, CRIU thaws the tree and it goes on living (docs/CRIU.md, "RPC": a no to post-dump).
 *
 * save_mend(): a tree that lives, and of whose save nobody knows how it ended, since who saved it is dead:
 * what that and its CRIU may have left is taken away. Not the images, which are the caller's.
 *
 * Never kills a process itself. Thread safe: several trees are saved side by side.
 */

#include "criu/criu.h"
#include "files/by-inode.h"
#include "model/config.h"
#include "model/snapshot.h"
#include "model/timeline.h"
#include "store/store.h"

typedef struct SaveJob {
        const Config *config;
        const Store *store;
        const CriuFeatures *features;
        Timeline *timeline;
        uint64_t max_bytes; /* that its images may take */
        uint64_t max_names; /* of files and directories that no boot brings */
        ImageKeys keys;
        uint64_t deadline; /* monotonic: what CRIU has not done by then it does not do */

        /* The tree is frozen, and nothing of it saved yet: the last word on what lies outside it (its
         * connections may have changed since they were described). *ret shows it as it stands; freed
         * here. */
        int (*frozen)(Tree *tree, Snapshot **ret, void *userdata);
        /* The images are safe. 0: let the original die; negative: thaw it. */
        int (*ready)(Tree *tree, void *userdata);
        void *userdata;
} SaveJob;

/* With keys.box, what it writes to the store is encrypted, and memory is needed for all of the images. Fills
 * tree->images, image_bytes, ids, frozen_at. On failure the tree lives; what was written of its images
 * is the caller's to discard. -EAGAIN, -ESTALE: something ended, changed or lost its name while the tree was
 * looked at, or it is beyond CRIU. Nobody can tell, so another save may succeed; it needs the tree as it was
 * before the first. */
int save_tree(const SaveJob *job, Tree *tree);

int save_mend(const Store *store, const Tree *tree, Sweep *sweep);

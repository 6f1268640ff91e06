/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/* The trees that are kept now: the keep list, the config's rule, and (for `carryover reboot`) the session
 * that the caller is in. */

#include "model/config.h"
#include "model/model.h"
#include "model/snapshot.h"

typedef struct Trees {
        Tree **items;
        size_t n;
} Trees;

void trees_done(Trees *trees);

/*
 * caller: a PID whose login session is kept too, or 0. A target that is gone (the session has ended) is left
 * out without a word: there is nothing left to keep. The trees are named and located (src/select/select.h),
 * and described with full detail (their descriptors, sockets and terminals) when full is set.
 */
int kept_trees(const Config *config, pid_t caller, bool full, Trees *ret, Snapshot **ret_snapshot);

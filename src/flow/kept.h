/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/* The trees that are kept now: the keep list, the config's rule, and (for `carryover reboot`) the session
 * that the caller is in. */

#include "model/config.h"
#include "model/model.h"

typedef struct Trees {
        Tree **items;
        size_t n;
} Trees;

void trees_done(Trees *trees);

/*
 * caller: a PID whose login session is kept too, or 0. A target that is gone (the session has ended) is left
 * out: there is nothing left to keep. The trees are named and located, not yet described (flow/facts.h,
 * inspect()).
 */
int kept_trees(const Config *config, pid_t caller, Trees *ret);

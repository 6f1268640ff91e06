/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/* The trees that are kept now: the keep list, the config's rule, and (for `carryover reboot`) the session
 * that it is typed in. */

#include "inspect/facts.h"
#include "model/candidate.h"
#include "model/config.h"

/* The trees of a target, or (NULL) of the session that the caller is in, as select_resolve(). */
int trees_resolve(const char *target, pid_t caller, Candidates *ret);

/* A shutdown stops the units of these trees only after the save (systemd/stop-order.h). */
int trees_stop_order(const Candidates *trees);

/* The session that a process is in, as a target that means the same later; NULL if it is in none. The caller
 * frees. */
int kept_own(pid_t pid, char **ret);

/*
 * own: a target of kept_own() that is kept too, or NULL. A target that is gone (the session has ended) is
 * left out, but for its name in ret->gone: there is nothing left to keep. The trees are named and located,
 * not yet described (inspect/facts.h, inspect()).
 */
int kept_trees(const Config *config, const char *own, Candidates *ret);

/* The same, judged (inspect/facts.h), and without what has ended meanwhile. Adds to what is there, also if
 * it fails. */
int kept_judged(const Config *config, const PreflightFacts *facts, Candidates *ret);

/* A session that ended between the list and the look needs nothing and hinders nobody: both go on without
 * it. */
void kept_forget_gone(Candidates *candidates);

/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/* What check, keep, drop and list ask: which trees a target means, what is to be said of them, and the keep
 * list. Errors of a target are those of select/select.h: -EINVAL, -ESRCH, -EPERM. */

#include "inspect/census.h"
#include "inspect/facts.h"
#include "inspect/kept.h"

/* Looks at them in depth, and at the machine. */
int keep_inspect(Candidates *trees);

#define KEEP_MODULES_MISSING "some kernel modules could not be loaded; a save may fail"

/*
 * Keeps their target: from now on a shutdown stops their units only after the save, the target is on the
 * keep list, and the modules that a save and a hold need are loaded. Answer 1: it was on the list already.
 * *ret_modules: how many modules could not be loaded; if any, the user is told so.
 */
int keep_trees(const Candidates *trees, int *ret_modules);

/* What the keep list calls a target, which need not be there any more, or (NULL) the caller's session. The
 * caller frees. */
int keep_name(const char *target, char **ret);

/* Takes a name (NULL: every one) off the keep list. Answer 1: it was not on it. */
int keep_drop(const char *name);

/* The trees that are kept now, as kept_trees(). */
int keep_list(Candidates *ret);

/* Everything that a reboot now would end, with the trees that are kept, looked at in depth. The caller
 * releases both. */
int keep_census(Candidates *ret_kept, Census *ret);

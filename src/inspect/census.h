/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/* Everything that a reboot now would end, with what becomes of it: census/ with the facts of this
 * machine. */

#include "inspect/facts.h"
#include "model/census.h"

/*
 * `kept` are the trees that would be carried, looked at in depth (facts.h, inspect()), and `facts` what that
 * was made with, or NULL: the room in the store does not matter. -EPERM with a sentence where not all
 * processes are seen: in a PID namespace of a restored tree. Of a service, the caller itself is no row
 * (census/census.h).
 */
int census_look(const Config *config, const Candidates *kept, const PreflightFacts *facts, Census *ret);

/* The same for whoever goes on in any case: what cannot be told is the census's `unknown`. 0 or -ENOMEM. */
int census_try(const Config *config, const Candidates *kept, Census *ret);

/* Appends what is not kept, or not wholly, for a ticket: the first ones, and how many more there are; or one
 * row that says that it cannot be told, since an empty list means that nothing ends. 0 or -ENOMEM. */
int census_ended(const Census *census, Ended ***list, size_t *n);

/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/* Whether something of a tree lives, whatever is noted of it. */

#include "model/model.h"

#include <stdbool.h>
#include <sys/types.h>

/* Whether a process of the tree lives, in the host's PID namespace or in one of its own: 0 with its number,
 * or answer 1. Before it is brought back once more. */
int restore_living(const Tree *tree, pid_t *ret);

/* Inside restore, and for its test: whether a process, by its cgroup and its /proc/PID/status, is one of the
 * tree: it lives in the tree's scope and has one of its numbers, in a PID namespace or in the host's. Other
 * trees of a login session, and what is begun in it later, have others. */
bool living_is_of(const Tree *tree, const char *cgroup, const char *status);

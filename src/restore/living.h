/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

#include "model/model.h"

#include <stdbool.h>

/* Inside this room: whether a process, by its cgroup and its /proc/PID/status, is one of the
 * tree: it lives in the tree's scope and has one of its numbers, in a PID namespace or in the host's. Other
 * trees of a login session, and what is begun in it later, have others. */
bool living_is_of(const Tree *tree, const char *cgroup, const char *status);

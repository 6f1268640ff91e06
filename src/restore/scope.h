/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/* Inside this room: the scope that a tree lives in (restore_scope()). */

#include "model/model.h"

#include <stdbool.h>

/* Whether a cgroup is that of the tree's scope. */
bool scope_is_of(const Tree *tree, const char *cgroup);

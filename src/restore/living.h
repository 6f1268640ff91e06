/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

#include "model/model.h"

#include <stdbool.h>

/* Inside this room: whether a process, by its cgroup and its /proc/PID/status, is one of the
 * tree: it lives in the tree's scope and has one of its numbers, in a PID namespace or in the host's. Other
 * trees of a login session, and what is begun in it later, have others. */
bool living_is_of(const Tree *tree, const char *cgroup, const char *status);

/*
 * A tree of which nobody has noted that it came back in a PID namespace: *ret is the host's number of its
 * init. Waits until that is through with making it, for an init that nobody waits for lets nothing run
 * (init.c): so what is still there then runs. -ESRCH: no such tree; -ETIMEDOUT: the init is still at work.
 */
int living_inside(const Tree *tree, uint64_t deadline, pid_t *ret);

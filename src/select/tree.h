/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/* Inside select: what a process or a cgroup's name says, and a Tree out of its root. */

#include "model/model.h"
#include "model/snapshot.h"

/* Whether `part` is a whole component of a cgroup's path. */
bool select_cgroup_part(const char *cgroup, const char *part);

/* The ID of "…/session-ID.scope…", a whole component of the path; at most 127 bytes. */
bool select_session_id(const char *cgroup, char id[static 128]);

bool select_is_sshd(const SnapProcess *p);
bool select_is_listener(const SnapProcess *p);

/* Fills everything but name and target. -EPERM if a process of it must not be carried; `caller` must not be
 * its root. */
int select_fill(const Snapshot *s, const SnapProcess *root, const Session *session, pid_t caller,
                Tree *tree);

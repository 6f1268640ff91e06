/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/* Inside this room: what a process says, and a Tree out of its root. */

#include "model/candidate.h"
#include "select/world.h"

/* An sshd of root's: the monitor of a session, or the listener. Its name says nothing, since anybody may
 * have it. */
bool select_is_sshd(const SnapProcess *p);
/* The sshd that serves the next logins, which every boot starts anew. */
bool select_is_listener(const SnapProcess *p);

/*
 * Fills everything but name and target. -EPERM if a process of it must not be carried, or if logind says of
 * its session that it is another user's than PID 1 does; `caller` must not be its root. session: that which
 * the root lies in, as logind knows it, or NULL.
 */
int select_fill(const Snapshot *s, const SnapProcess *root, const Session *session, pid_t caller,
                Tree *tree);

/* As select_resolve(), but a tree that must not be carried becomes a note of *problems ("target-refused"),
 * and the others of the target do not suffer from it: there may be no tree. */
int select_resolve_each(const SelectWorld *world, const char *target, Verdict *problems, Candidates *ret);

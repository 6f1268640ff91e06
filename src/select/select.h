/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/*
 * Which processes a target means: from a snapshot to trees, without looking at anything else.
 *
 * Targets: "session:ID" (logind's), "pid:N" or "pid:N@START" (start time in clock ticks, so that a number
 * that was reused is not taken for the old process), "unit:NAME"; NULL is the login session that the caller
 * is in.
 *
 * A session is what lies in /user.slice/user-UID.slice/session-ID.scope, and a unit is one of the system's
 * manager (model/cgroup-path.h): what a user's manager or a container has made under the same name is not
 * meant. Inside of it every process whose parent is outside is the root of a tree: a daemonised job beside
 * the shell gives a tree of its own. Descendants belong to their root's tree, whatever cgroup they are in.
 *
 * A tree's uid is its session's user's, if its root is that user's or root's; else its root's. Of an sshd
 * without a session it is the user's whom it serves.
 */

#include "model/candidate.h"
#include "select/world.h"

/*
 * -EINVAL: no target has this form; -ESRCH: there is no such session, unit or process; -EPERM: it must not
 * be carried (the kernel's own threads, PID 1 and what a shutdown needs, sshd's listener, carryover itself;
 * or more than 64 trees). Fills name, target, root_pid, root_start, comm, uid, pids, ids, cgroup, slice,
 * session, shell_job. At least one tree; the login's root first, then by PID.
 */
int select_resolve(const SelectWorld *world, const char *target, pid_t caller, Candidates *ret);

/* Whether a target has one of these forms: 0 or -EINVAL. What it names need not be there. */
int select_check(const char *target);

/*
 * What a keep list (NULL: none) and the rule "all ssh sessions" select together, each process once: a tree
 * inside another one is carried by that. What is gone or cannot be selected any more becomes a note of
 * *problems (degraded, "target-gone" or "target-refused") and does not stop the others, nor a tree of a
 * session the other trees of it. ret->gone has what of the keep list is gone.
 */
int select_kept(const SelectWorld *world, const Keep *keep, bool all_ssh, Candidates *ret,
                Verdict *problems);

/* The form of a tree's target that still means the same tomorrow, for the keep list: "session:4",
 * "pid:123@START", "unit:x.service". The caller frees. */
int select_stable(const Tree *tree, char **ret);

/* Fills externals, ptys, connections, datagrams, listens, binds, ports and processes of a tree from a
 * SNAP_FULL snapshot; what was there is replaced. What CRIU is told of them: docs/CRIU.md, "Sockets with a
 * peer outside", "FIFOs and pipes", "Terminals". */
int select_describe(const Snapshot *full, Tree *tree);

/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/* Making a Snapshot (model/snapshot.h) of the running system. Processes that vanish while we look are left
 * out. */

#include "model/snapshot.h"

typedef enum SnapDepth {
        SNAP_PROCESSES, /* every process: ids, names, cgroup; no fds, no maps, no sockets */
        SNAP_FULL,      /* the trees of the given roots with fds, maps; all unix and TCP/UDP sockets of our
                           network namespace */
} SnapDepth;

/* What is looked at. Bounds are kept while it is read, whoever's the trees are: a tree of more than
 * max_processes or max_files (0: no such limit) is not looked at in depth, nor beyond 65536 threads,
 * descriptors and mappings of a process (SnapProcess.beyond). */
typedef struct SnapLook {
        SnapDepth depth;
        const pid_t *roots; /* for SNAP_FULL */
        const uid_t *users; /* whose each of these is; NULL: nobody's */
        size_t n;
        uint64_t max_processes, max_files;
} SnapLook;

/*
 * Nothing of /proc is read by the caller itself, which therefore never waits for what a process waits for:
 * one that cannot be looked at within 3 s is left (SnapProcess.stuck) with the rest of its tree, as is what
 * is not seen of a tree within 20 s, or of all trees of one user who is not root. -ETIMEDOUT if the list of
 * processes itself takes longer.
 */
int snapshot_look(const SnapLook *look, Snapshot **ret);
int snapshot_take(SnapDepth depth, const pid_t *roots, size_t n, Snapshot **ret); /* without limits */

/* The tree of one root, which stands frozen: of all other processes only the leaders of its sessions are
 * looked at, so that it costs no more however many there are. What others hold is taken from `before`, a
 * SNAP_FULL one that had this tree; NULL: nothing. */
int snapshot_frozen(pid_t root, const SnapLook *limits, const Snapshot *before, Snapshot **ret);

/* Whether a tracer holds a process still at this moment; one that a signal had stopped before, too. */
bool process_is_traced(pid_t pid);

/* Text behind the last `key` at a line's begin in a /proc file ("Uid:\t0"), or NULL. */
const char *procfs_field(const char *text, const char *key);

/* The last number of a line of /proc/PID/status ("NSpid:", "NSsid:"): as the innermost PID namespace has it.
 * 0: there is none. */
pid_t procfs_innermost(const char *status, const char *key);

/* The number that a process or thread has in its innermost PID namespace; 0: it is gone. */
pid_t process_own_number(pid_t pid);

/* As SnapProcess.start; -ESRCH, also of one that has ended or is about to, reaped or not. */
int process_start_time(pid_t pid, uint64_t *ret);

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

/* roots: for SNAP_FULL, n of them. Bounded: of each process 65536 threads, descriptors and mappings
 * (SnapProcess.beyond). */
int snapshot_take(SnapDepth depth, const pid_t *roots, size_t n, Snapshot **ret);

/* Whether a tracer holds a process still at this moment; one that a signal had stopped before, too. */
bool process_is_traced(pid_t pid);

/* As SnapProcess.start; -ESRCH, also of one that has ended or is about to, reaped or not. */
int process_start_time(pid_t pid, uint64_t *ret);

/* "uname -r", boot id (36 characters), both into the caller's buffers. */
int system_kernel(char release[static 128]);
int system_boot_id(char id[static 37]);

/* Raises ns_last_pid (and pid_max where needed) so that no new process gets a number <= pid; never lowers
 * it. */
int pids_lift(uint32_t pid);

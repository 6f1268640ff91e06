/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/* The processes of a tree, by number, and their memory. They are those that were meant only while the tree
 * is frozen, or its processes are the caller's to reap. */

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/* Root first, then its descendants, parents before children. The caller frees *ret. -E2BIG above 65536. */
int process_tree_list(pid_t root, pid_t **ret, size_t *ret_n);

/* The numbers that threads of a tree have in its own PID namespace, and those of ours. */
typedef struct OwnNumber {
        pid_t own, here;
} OwnNumber;

typedef struct OwnNumbers {
        OwnNumber *list; /* by the first */
        size_t n;
} OwnNumbers;

/* Of a tree that stands still. -E2BIG if it has as many threads as no machine. */
int own_numbers_read(pid_t root, OwnNumbers *ret);
void own_numbers_done(OwnNumbers *numbers);
/* -1: no thread has that number. */
pid_t own_numbers_here(const OwnNumbers *numbers, pid_t own);

/* SIGKILL to each. */
void processes_kill(const pid_t *pids, size_t n);

/* Returns when the last one is dead. -ETIMEDOUT at the deadline (monotonic, in microseconds). */
int processes_wait(const pid_t *pids, size_t n, uint64_t deadline);

/* SIGKILL to each descendant of the process, and not to itself. */
void process_kill_descendants(pid_t pid);

/* Memory of a thread: all `size` bytes, or a negative errno without a sentence. */
int process_read(pid_t tid, uint64_t address, void *ret, size_t size);

/* Addresses of a process, from and up to. */
typedef struct ProcessRange {
        uint64_t from, to;
} ProcessRange;

/* Memory of a process that the kernel wipes in its children, ascending; the caller frees *ret. None of one
 * that has ended. */
int process_wiped(pid_t pid, ProcessRange **ret, size_t *ret_n);

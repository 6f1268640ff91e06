/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/* Memory that no disk sees, for images that are not encrypted yet, or no more. */

#include <stdint.h>

/*
 * A directory on a file system of its own, in memory that is never swapped (tmpfs with noswap, Linux 6.4;
 * else ramfs). It is mounted nowhere: who has the descriptor reaches it, by /proc/PID/fd too, and nobody
 * else; with the last descriptor on it, or of a file in it, all of it is gone, however its owner ended.
 *
 * No larger than what was available when it was made, where the file system knows a bound (tmpfs).
 */
int memory_directory(void);

/* All that this kernel has, without its swap. */
uint64_t memory_total(void);

/* What could be used without swapping: MemAvailable. */
int memory_available(uint64_t *ret_bytes);

/* All memory of this process, now and later, stays out of the swap. */
int memory_lock(void);

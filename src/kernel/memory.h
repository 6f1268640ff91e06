/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/* What memory the kernel may promise. */

#include <stdbool.h>
#include <stdint.h>

/* Whether the kernel promises no more memory than it has (vm.overcommit_memory=2); then, how much more it
 * may promise. */
bool memory_is_strict(uint64_t *ret_promisable);

/* The same, by this /proc/meminfo. */
uint64_t memory_promisable(const char *meminfo);

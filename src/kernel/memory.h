/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/* What the kernel may give, now and behind the next boot. */

#include <stdbool.h>
#include <stdint.h>

/* Whether each boot makes as many huge pages as there are now; large: of those that are larger than the
 * usual ones. */
bool huge_by_boot(bool large);

/* How many pages a file of sysctl.d(5) asks for; 0: it does not. */
uint64_t huge_setting(const char *text);

/* Whether the kernel promises no more memory than it has (vm.overcommit_memory=2); then, how much more it
 * may promise. */
bool memory_is_strict(uint64_t *ret_promisable);

/* The same, by this /proc/meminfo. */
uint64_t memory_promisable(const char *meminfo);

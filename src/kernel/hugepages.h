/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/* Huge pages (hugetlb): those beyond the pool, and whether each boot makes the pool. */

#include <stdbool.h>
#include <stdint.h>

/*
 * Lets the kernel make huge pages of this size (0: its default) when a process asks for them: as many bytes
 * more than so far, or fewer (nr_overcommit_hugepages), beside those that others have beyond the pool by
 * now. When as many are taken back as were allowed by this process, the limit is what it was before. Who has
 * them keeps them; when they are given back they become ordinary memory. Thread safe. -ENOENT: there are
 * none of that size. -EINVAL: the kernel makes such ones at boot only.
 */
int hugepages_allow(uint64_t size, int64_t bytes);

/* Whether each boot makes as many huge pages as there are now; large: of those that are larger than the
 * usual ones. */
bool hugepages_by_boot(bool large);

/* How many pages a file of sysctl.d(5) asks for; 0: it does not. */
uint64_t hugepages_setting(const char *text);

/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/* Huge pages (hugetlb): the pool of those of 2 MiB, and whether each boot makes it. */

#include <stdbool.h>
#include <stdint.h>

/* What a kernel can make of ordinary memory while it runs. Larger ones want a whole GiB in one piece. */
#define HUGE_PAGE_SHIFT 21
#define HUGE_PAGE       (UINT64_C(1) << HUGE_PAGE_SHIFT)

typedef struct HugePool {
        uint64_t pages;   /* of the pool: as many as was asked for, or as there was memory for */
        uint64_t surplus; /* beyond it: who has them keeps them, then they become ordinary memory */
        uint64_t free;    /* of both, promised to nobody */
} HugePool;

/* -ENOENT: this kernel has none. */
int hugepages_look(HugePool *ret);
/* Sets the size of the pool. The kernel makes as many as it has memory for, which is no error. What it takes
 * out that is in use, or promised, is surplus from then on; what it adds it takes from there first. */
int hugepages_set(uint64_t pages);
/* How many pages a restore may add to what the boot has: a quarter of the memory. 0: not known. */
uint64_t hugepages_share(void);

/* Whether each boot makes as many huge pages as there are now; large: of those that are larger than the
 * usual ones. */
bool hugepages_by_boot(bool large);

/* How many pages a file of sysctl.d(5) asks for; 0: it does not. */
uint64_t hugepages_setting(const char *text);

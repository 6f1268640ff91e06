/* SPDX-License-Identifier: GPL-2.0-or-later */

/* Huge pages, and what the kernel may promise. */

#include "proc/huge.h"

#include "kernel/hugepages.h"
#include "kernel/memory.h"

#include <linux/magic.h>
#include <stdio.h>
#include <sys/vfs.h>

uint64_t huge_page(int pid_dir, const char *link) {
        struct statfs st;
        char path[96];

        snprintf(path, sizeof path, "/proc/self/fd/%d/%s", pid_dir, link);
        return statfs(path, &st) >= 0 && (unsigned)st.f_type == HUGETLBFS_MAGIC ? (uint64_t)st.f_bsize : 0;
}

void huge_add(SnapProcess *p, uint64_t bytes, uint64_t page) {
        if (page > 0 && __builtin_add_overflow(p->huge, bytes, &p->huge))
                p->huge = UINT64_MAX;
        p->huge_page = page > p->huge_page ? page : p->huge_page;
}

void procfs_memory(Snapshot *s) {
        uint64_t largest = 0;

        s->strict = memory_is_strict(&s->promisable);
        for (size_t i = 0; i < s->n_processes; i++)
                largest = s->processes[i].huge_page > largest ? s->processes[i].huge_page : largest;
        s->huge_by_boot = largest > 0 && hugepages_by_boot(largest > HUGE_PAGE);
        s->huge_most = largest > 0 ? hugepages_share() * HUGE_PAGE : 0;
}

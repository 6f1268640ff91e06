/* SPDX-License-Identifier: GPL-2.0-or-later */

/* Memory that the next kernel may not give. docs/CRIU.md, "Memory is mapped writable at first", "Huge pages
 * come from a pool". */

#include "kernel/hugepages.h"
#include "preflight/bytes.h"
#include "preflight/checks.h"

#include <inttypes.h>
#include <string.h>

/* Of all trees. */
static uint64_t all_huge(const Snapshot *s) {
        uint64_t sum = 0;

        for (size_t i = 0; i < s->n_processes; i++)
                sum = plus(sum, s->processes[i].huge);
        return sum;
}

int check_huge(const Check *c) {
        const Snapshot *s = c->m->s;
        Who who;

        if (c->p->huge_page == 0 || s->huge_by_boot)
                return 0;
        if (c->p->huge_page != HUGE_PAGE)
                return note_refused(c, "huge-pages",
                                    "set hugepagesz= and hugepages= on the kernel command line, or stop the "
                                    "program",
                                    "%s uses huge pages that are not of 2 MiB; the next kernel will have no "
                                    "pool of them",
                                    check_who(c->p, &who));
        if (all_huge(s) > s->huge_most)
                return note_refused(
                                c, "huge-pages", "set vm.nr_hugepages in /etc/sysctl.d, or stop the program",
                                "%s uses huge pages; if the boot does not create them, at most a quarter "
                                "of the memory (%" PRIu64 " MiB) can be restored in huge pages",
                                check_who(c->p, &who), s->huge_most / MIB);
        return note_degraded(c, "huge-pages", "set vm.nr_hugepages in /etc/sysctl.d",
                             "%s keeps its huge pages, but cannot get more of them after the reboot",
                             check_who(c->p, &who));
}

static bool shares_memory(const Check *c, const SnapProcess *p) {
        const SnapProcess *parent = snapshot_process(c->m->s, p->ppid);

        return parent && parent->exe && p->exe && strcmp(parent->exe, p->exe) == 0;
}

/* All of it is counted that may be mapped writable: which mappings end where pages begin, and which ones a
 * child still shares, CRIU alone knows. */
static uint64_t mapped_writable(const Check *c) {
        uint64_t sum = 0;

        for (size_t i = 0; i < c->m->n; i++)
                if (!c->facts->criu.as_it_was || shares_memory(c, c->m->list[i]))
                        sum = plus(sum, c->m->list[i]->unwritable);
        return sum;
}

int check_reserved(const Check *c) {
        uint64_t sum = c->m->s->strict ? mapped_writable(c) : 0;

        if (!c->m->s->strict || sum <= c->m->s->promisable)
                return 0;
        return note_refused(c, "overcommit", "set vm.overcommit_memory=0, or raise vm.overcommit_ratio",
                            "this tree maps %" PRIu64
                            " MiB that it may not write to; CRIU maps this memory writable, and "
                            "vm.overcommit_memory=2 leaves %" PRIu64 " MiB",
                            sum / MIB, c->m->s->promisable / MIB);
}

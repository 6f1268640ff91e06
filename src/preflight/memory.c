/* SPDX-License-Identifier: GPL-2.0-or-later */

/* Memory that the next kernel may not give. docs/CRIU.md, "Memory is mapped writable at first", "Huge pages
 * come from a pool". */

#include "kernel/hugepages.h"
#include "preflight/bytes.h"
#include "preflight/checks.h"

#include <inttypes.h>
#include <string.h>

/* What others have open, too, comes back once. */
static uint64_t bytes_of(const SnapProcess *p, Seen *seen) {
        uint64_t again = 0;

        for (size_t i = 0; i < p->n_fds; i++)
                if (p->fds[i].huge_page > 0 && seen_before(seen, p->fds + i))
                        again = plus(again, p->fds[i].size);
        return p->huge == UINT64_MAX ? p->huge : p->huge > again ? p->huge - again : 0;
}

/* By sizes, and not by the pages that are there: CRIU maps a memfd as a whole, in the dump and in the
 * restore, and the kernel reserves pages for its holes. */
int huge_bytes(const Members *m, uint64_t *ret) {
        _cleanup_(seen_done) Seen seen = {0};
        uint64_t sum = 0;
        size_t i = 0;
        int r;

        *ret = 0;
        while (i < m->n && m->list[i]->huge_page == 0)
                i++;
        if (i == m->n)
                return 0;
        r = seen_make(m, &seen);
        if (r < 0)
                return r;
        for (; i < m->n; i++)
                sum = plus(sum, bytes_of(m->list[i], &seen));
        *ret = sum;
        return 0;
}

/* bytes: of its tree. What the trees have together: preflight_huge(). */
static int check_pages(const Check *c, uint64_t bytes) {
        const uint64_t most = c->m->s->huge_most;
        Who who;

        if (c->p->huge_page != HUGE_PAGE)
                return note_refused(c, "huge-pages",
                                    "set hugepagesz= and hugepages= on the kernel command line, or stop the "
                                    "program",
                                    "%s uses huge pages that are not of 2 MiB; the next kernel will have no "
                                    "pool of them",
                                    check_who(c->p, &who));
        if (bytes > most)
                return note_refused(
                                c, "huge-pages", "set vm.nr_hugepages in /etc/sysctl.d, or stop the program",
                                "%s uses huge pages; if the boot does not create them, at most a quarter "
                                "of the memory (%" PRIu64 " MiB) can be restored in huge pages",
                                check_who(c->p, &who), most / MIB);
        return note_degraded(c, "huge-pages", "set vm.nr_hugepages in /etc/sysctl.d",
                             "%s keeps its huge pages, but cannot get more of them after the reboot",
                             check_who(c->p, &who));
}

int check_huge(Check *c) {
        uint64_t bytes;
        int r;

        if (c->m->s->huge_by_boot)
                return 0;
        r = huge_bytes(c->m, &bytes);
        for (size_t i = 0; r >= 0 && i < c->m->n; i++) {
                c->p = c->m->list[i];
                if (c->p->huge_page > 0)
                        r = check_pages(c, bytes);
        }
        return r;
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

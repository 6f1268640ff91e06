/* SPDX-License-Identifier: GPL-2.0-or-later */

/* Connections of a machine with itself. Where both ends are carried, in one tree or in two, nothing is lost:
 * the hold keeps them until both are back. So this is asked last, when it is known which trees are
 * refused. */

#include "base/cleanup.h"
#include "base/err.h"
#include "preflight/checks.h"
#include "preflight/preflight.h"

#include <stdlib.h>

typedef struct Trees {
        Members *list; /* empty: not carried */
        size_t n;
} Trees;

static void trees_done(Trees *trees) {
        for (size_t i = 0; i < trees->n; i++)
                members_done(trees->list + i);
        free(trees->list);
}

static bool is_carried(const Trees *trees, const SnapInet *i) {
        for (size_t k = 0; k < trees->n; k++)
                if (trees->list[k].n > 0 && members_have_other_end(trees->list + k, i))
                        return true;
        return false;
}

static int check_peer(const Check *c, const Trees *trees, const SnapInet *i) {
        Who who;

        if (!i || !i->to_self || !members_is_connected(i) || is_carried(trees, i))
                return 0;
        return note_degraded(c, "loopback",
                             "also keep the tree of the other end, or let the program reconnect",
                             "%s has a connection to port %u on this machine; the other end is not carried "
                             "and may not be restored",
                             check_who(c->p, &who), i->remote_port);
}

static int check_members(Check *c, const Trees *trees) {
        _cleanup_(seen_done) Seen seen = {0};
        int r = seen_make(c->m, &seen);

        for (size_t i = 0; r >= 0 && i < c->m->n; i++) {
                c->p = c->m->list[i];
                for (size_t k = 0; r >= 0 && k < c->p->n_fds; k++) {
                        const SnapFd *f = c->p->fds + k;

                        if (f->kind == FD_TCP && !seen_before(&seen, f))
                                r = check_peer(c, trees, snapshot_inet(c->m->s, f->ino));
                }
        }
        return r < 0 ? r : check_groups_end(c);
}

int preflight_peers(const Snapshot *s, Candidate *candidates, size_t n) {
        _cleanup_(trees_done) Trees all = {calloc(n ?: 1, sizeof *all.list), n};
        int r = all.list ? 0 : -ENOMEM;

        for (size_t i = 0; r >= 0 && i < n; i++)
                if (candidates[i].verdict.level != VERDICT_REFUSED)
                        r = members_of(s, (pid_t)candidates[i].tree->root_pid, all.list + i);
        for (size_t i = 0; r >= 0 && i < n; i++) {
                _cleanup_(note_groups_done) NoteGroups groups = {0};
                Check c = {.m = all.list + i,
                           .tree = candidates[i].tree,
                           .v = &candidates[i].verdict,
                           .groups = &groups};

                if (c.m->n > 0)
                        r = check_members(&c, &all);
        }
        return r < 0 ? err_pass(r) : 0;
}

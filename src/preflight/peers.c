/* SPDX-License-Identifier: GPL-2.0-or-later */

/* What trees have of each other. Connections of a machine with itself: where both ends are carried, in one
 * tree or in two, nothing is lost, as the hold keeps them until both are back. So this is asked last, when
 * it is known which trees are refused.
 *
 * A datagram socket that is connected to one of another tree would need that one first, and trees come back
 * side by side. A tree that stands frozen knows the others' sockets as anybody's (SnapHolder); before, they
 * are in none of these lists, but in the snapshot. */

#include "base/cleanup.h"
#include "base/err.h"
#include "preflight/checks.h"
#include "preflight/preflight.h"

#include <stdlib.h>
#include <sys/socket.h>

typedef struct Trees {
        const Candidate *candidates;
        Members *list; /* empty: it has ended, or was not looked at */
        size_t n;
} Trees;

static void trees_done(Trees *trees) {
        for (size_t i = 0; i < trees->n; i++)
                members_done(trees->list + i);
        free(trees->list);
}

static bool is_carried(const Trees *trees, const SnapInet *i) {
        for (size_t k = 0; k < trees->n; k++)
                if (trees->candidates[k].verdict.level != VERDICT_REFUSED && trees->list[k].n > 0 &&
                    members_have_other_end(trees->list + k, i))
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

/* NULL: it is in no tree. */
static const Members *tree_with(const Trees *trees, uint64_t socket) {
        for (size_t k = 0; k < trees->n; k++)
                if (trees->list[k].n > 0 && members_have_socket(trees->list + k, socket))
                        return trees->list + k;
        return NULL;
}

/* What somebody outside of all trees has, too, is judged by that one (peer.c). */
static int check_dgram_peer(const Check *c, const Trees *trees, const SnapUnix *u) {
        const SnapUnix *peer =
                        u && u->type == SOCK_DGRAM && u->peer ? snapshot_unix(c->m->s, u->peer) : NULL;
        const Members *other;
        Who who, holder;

        if (!peer || !peer->path || snapshot_holder(c->m->s, FD_UNIX, peer->ino))
                return 0;
        other = tree_with(trees, peer->ino);
        if (!other || other == c->m)
                return 0;
        return note_refused(c, "unix-late", "stop the program before the reboot",
                            "%s has a datagram socket connected to %s of another kept tree (%s), which may "
                            "not exist yet when the tree is restored",
                            check_who(c->p, &who), peer->path, check_who(other->list[0], &holder));
}

static int check_end(const Check *c, const Trees *trees, const SnapFd *f) {
        if (f->kind == FD_TCP)
                return check_peer(c, trees, snapshot_inet(c->m->s, f->ino));
        return check_dgram_peer(c, trees, snapshot_unix(c->m->s, f->ino));
}

/* All descriptors of this kind. */
static int check_members(Check *c, const Trees *trees, FdKind kind) {
        _cleanup_(seen_done) Seen seen = {0};
        int r = seen_make(c->m, &seen);

        for (size_t i = 0; r >= 0 && i < c->m->n; i++) {
                c->p = c->m->list[i];
                for (size_t k = 0; r >= 0 && k < c->p->n_fds; k++) {
                        const SnapFd *f = c->p->fds + k;

                        if (f->kind == kind && !seen_before(&seen, f))
                                r = check_end(c, trees, f);
                }
        }
        return r < 0 ? r : check_groups_end(c);
}

static int check_all(const Trees *all, Candidate *candidates, FdKind kind) {
        int r = 0;

        for (size_t i = 0; r >= 0 && i < all->n; i++) {
                _cleanup_(note_groups_done) NoteGroups groups = {0};
                Check c = {.m = all->list + i,
                           .tree = candidates[i].tree,
                           .v = &candidates[i].verdict,
                           .groups = &groups};

                if (c.m->n > 0 && c.v->level != VERDICT_REFUSED)
                        r = check_members(&c, all, kind);
        }
        return r;
}

/* What refuses a tree comes first. */
int preflight_peers(const Snapshot *s, Candidate *candidates, size_t n) {
        _cleanup_(trees_done) Trees all = {candidates, calloc(n ?: 1, sizeof *all.list), n};
        int r = all.list ? 0 : -ENOMEM;

        for (size_t i = 0; r >= 0 && i < n; i++) {
                r = members_of(s, (pid_t)candidates[i].tree->root_pid, all.list + i);
                if (r != -ENOMEM && candidates[i].verdict.level == VERDICT_REFUSED)
                        r = 0; /* it is gone, or too much was found */
        }
        if (r >= 0)
                r = check_all(&all, candidates, FD_UNIX);
        if (r >= 0)
                r = check_all(&all, candidates, FD_TCP);
        return r < 0 ? err_pass(r) : 0;
}

/* SPDX-License-Identifier: GPL-2.0-or-later */

/*
 * The keep list and the rule together. A process is carried once: of two trees that share a process one is
 * inside the other, since each is a root with all its descendants, and the outer one carries both.
 */

#include "base/cleanup.h"
#include "base/err.h"
#include "base/text.h"
#include "select/select.h"
#include "select/tree.h"
#include "systemd/login.h"

#include <string.h>

typedef struct Kept {
        Tree **trees;
        size_t n;
} Kept;

static void kept_done(Kept *k) {
        select_free(k->trees, k->n);
}

static bool contains(const Tree *tree, uint32_t pid) {
        for (size_t i = 0; i < tree->n_pids; i++)
                if (tree->pids[i] == pid)
                        return true;
        return false;
}

/* Takes the tree. */
static int kept_add(Kept *k, Tree *tree) {
        size_t left = 0;
        int r;

        for (size_t i = 0; i < k->n; i++)
                if (contains(k->trees[i], tree->root_pid)) {
                        model_free(tree);
                        return 0;
                }
        for (size_t i = 0; i < k->n; i++)
                if (contains(tree, k->trees[i]->root_pid))
                        model_free(k->trees[i]);
                else
                        k->trees[left++] = k->trees[i];
        k->n = left;
        r = model_append(k->trees, k->n, tree);
        if (r < 0)
                model_free(tree);
        return r;
}

/* A session that nobody named is not missed if it is closing and has no process any more. Each process that
 * must stay costs its own tree and no other. */
static int kept_target(const SelectWorld *w, const char *target, bool named, Kept *k, Verdict *problems) {
        Tree **trees;
        size_t n;
        int r;

        r = select_resolve_each(w, target, problems, &trees, &n);
        if (r == -ENOMEM)
                return r;
        if (r == -ESRCH && !named)
                return 0;
        if (r < 0)
                return verdict_add(problems, VERDICT_DEGRADED,
                                   r == -ESRCH ? "target-gone" : "target-refused", NULL,
                                   r == -ESRCH ? "%s no longer exists: %s"
                                               : "%s can no longer be kept; run carryover drop to remove it "
                                                 "from the list: %s",
                                   target, err_text(r));
        for (size_t i = 0; i < n; i++) {
                int q = kept_add(k, TAKE(trees[i]));

                if (q < 0)
                        r = q;
        }
        free(trees);
        return r;
}

int select_kept(const SelectWorld *w, const Keep *keep, bool all_ssh, Tree ***ret, size_t *ret_n,
                Verdict *problems) {
        _cleanup_(kept_done) Kept k = {0};
        int r = 0;

        for (size_t i = 0; r >= 0 && keep && i < keep->n_targets; i++)
                r = kept_target(w, keep->targets[i], true, &k, problems);
        for (size_t i = 0; r >= 0 && all_ssh && i < w->n_sessions; i++) {
                _cleanup_(freep) char *target = NULL;

                if (!login_is_ssh(w->sessions[i]))
                        continue;
                target = text_format("session:%s", w->sessions[i]->id);
                r = target ? kept_target(w, target, false, &k, problems) : -ENOMEM;
        }
        if (r < 0)
                return err_pass(r);
        *ret = TAKE(k.trees);
        *ret_n = k.n;
        k.n = 0;
        return 0;
}

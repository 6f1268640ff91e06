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

static bool contains(const Tree *tree, uint32_t pid) {
        for (size_t i = 0; i < tree->n_pids; i++)
                if (tree->pids[i] == pid)
                        return true;
        return false;
}

/* Takes the tree. */
static int kept_add(Candidates *k, Tree *tree, CandidateWhy why) {
        int r;

        for (size_t i = 0; i < k->n; i++)
                if (contains(k->items[i].tree, tree->root_pid)) {
                        model_free(tree);
                        return 0;
                }
        for (size_t i = k->n; i-- > 0;)
                if (contains(tree, k->items[i].tree->root_pid))
                        candidates_remove(k, i);
        r = candidates_add(k, tree);
        if (r >= 0)
                k->items[k->n - 1].why = why;
        return r;
}

static int note_gone(Candidates *k, const char *target) {
        char *copy = strdup(target);
        int r = copy ? model_append(k->gone, k->n_gone, copy) : -ENOMEM;

        if (r < 0)
                free(copy);
        return r;
}

/* A session that nobody named is not missed if it is closing and has no process any more. Each process that
 * must stay costs its own tree and no other. */
static int kept_target(const SelectWorld *w, const char *target, bool named, Candidates *k,
                       Verdict *problems) {
        _cleanup_(candidates_done) Candidates found = {0};
        int r;

        r = select_resolve_each(w, target, problems, &found);
        if (r == -ENOMEM)
                return r;
        if (r == -ESRCH && !named)
                return 0;
        if (r == -ESRCH && note_gone(k, target) < 0)
                return -ENOMEM;
        if (r < 0)
                return verdict_add(problems, VERDICT_DEGRADED,
                                   r == -ESRCH ? "target-gone" : "target-refused", NULL,
                                   r == -ESRCH ? "%s no longer exists: %s"
                                               : "%s can no longer be kept; run carryover drop to remove it "
                                                 "from the list: %s",
                                   target, err_text(r));
        for (size_t i = 0; r >= 0 && i < found.n; i++)
                r = kept_add(k, TAKE(found.items[i].tree), named ? WHY_KEEP : WHY_CONFIG);
        return r;
}

int select_kept(const SelectWorld *w, const Keep *keep, bool all_ssh, Candidates *ret, Verdict *problems) {
        _cleanup_(candidates_done) Candidates k = {0};
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
        *ret = k;
        k = (Candidates){0};
        return 0;
}

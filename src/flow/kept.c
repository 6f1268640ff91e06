/* SPDX-License-Identifier: GPL-2.0-or-later */

#include "flow/kept.h"

#include "base/cleanup.h"
#include "base/err.h"
#include "base/log.h"
#include "flow/facts.h"
#include "store/store.h"
#include "systemd/stop-order.h"

#include <string.h>

void trees_done(Trees *trees) {
        select_free(trees->items, trees->n);
        free(trees->refused);
        *trees = (Trees){0};
}

void trees_give(Trees *trees, Ticket *ticket) {
        select_free(ticket->trees, ticket->n_trees);
        ticket->trees = TAKE(trees->items);
        ticket->n_trees = TAKE(trees->n);
}

int trees_stop_order(const Trees *trees) {
        _cleanup_(freep) uint32_t *pids = NULL;
        size_t n = 0;
        int r;

        for (size_t i = 0; i < trees->n; i++)
                for (size_t j = 0; j < trees->items[i]->n_pids; j++)
                        if (model_append(pids, n, trees->items[i]->pids[j]) < 0)
                                return -ENOMEM;
        r = stop_order(pids, n);
        if (r > 0)
                log_debug("%d units will be stopped only after the save", r);
        return r < 0 ? err_pass(r) : 0;
}

int trees_resolve(const char *target, pid_t caller, Trees *ret) {
        _cleanup_(world_done) World world = {0};
        SelectWorld select;
        int r;

        r = world_look(&world);
        if (r < 0)
                return err_pass(r);
        select = world_select(&world);
        r = select_resolve(&select, target, caller, &ret->items, &ret->n);
        return r < 0 ? err_pass(r) : 0;
}

int kept_own(pid_t pid, char **ret) {
        _cleanup_(trees_done) Trees own = {0};
        int r;

        *ret = NULL;
        r = trees_resolve(NULL, pid, &own);
        if (r == -ESRCH)
                return 0;
        if (r >= 0)
                r = select_stable(own.items[0], ret);
        return r < 0 ? err_pass(r) : 0;
}

static int keep_too(Keep *keep, const char *target) {
        char *copy = strdup(target);
        int r = copy ? model_append(keep->targets, keep->n_targets, copy) : -ENOMEM;

        if (r < 0)
                free(copy);
        return r;
}

static int note_refused(const Verdict *problems, Trees *trees) {
        for (size_t i = 0; i < problems->n_notes; i++) {
                const VerdictNote *n = problems->notes + i;

                log_debug("%s", n->text);
                if (trees->refused || strcmp(n->what, "target-refused") != 0)
                        continue;
                trees->refused = strdup(n->text);
                if (!trees->refused)
                        return -ENOMEM;
        }
        return 0;
}

int kept_trees(const Config *config, const char *own, Trees *ret) {
        _cleanup_(world_done) World world = {0};
        _cleanup_(keep_freep) Keep *keep = NULL;
        Verdict problems = {0};
        SelectWorld select;
        int r;

        r = world_look(&world);
        if (r >= 0)
                r = run_keep_read(&keep);
        if (r >= 0 && own)
                r = keep_too(keep, own);
        if (r < 0)
                return err_pass(r);
        select = world_select(&world);
        r = select_kept(&select, keep, config->keep_ssh, &ret->items, &ret->n, &problems);
        if (r >= 0)
                r = note_refused(&problems, ret);
        verdict_done(&problems);
        return r < 0 ? err_pass(r) : 0;
}

static bool is_gone(const Verdict *verdict) {
        for (size_t i = 0; i < verdict->n_notes; i++)
                if (strcmp(verdict->notes[i].what, "gone") == 0)
                        return true;
        return false;
}

void kept_forget_gone(Trees *trees, Inspection *found) {
        size_t left = 0;

        for (size_t i = 0; i < trees->n; i++)
                if (is_gone(found->verdicts + i)) {
                        log_debug("%s is no longer kept: it has ended", trees->items[i]->target);
                        model_free(trees->items[i]);
                        verdict_done(found->verdicts + i);
                } else {
                        trees->items[left] = trees->items[i];
                        found->limits[left] = found->limits[i];
                        found->verdicts[left++] = found->verdicts[i];
                }
        trees->n = found->n = left;
}

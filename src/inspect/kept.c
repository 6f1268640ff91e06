/* SPDX-License-Identifier: GPL-2.0-or-later */

#include "inspect/kept.h"

#include "base/cleanup.h"
#include "base/err.h"
#include "base/fd.h"
#include "base/log.h"
#include "base/text.h"
#include "inspect/facts.h"
#include "proc/ns.h"
#include "store/run.h"
#include "store/store.h"
#include "systemd/stop-order.h"

#include <string.h>

int trees_stop_order(const Candidates *c) {
        _cleanup_(closep) int lock = run_keep_lock(); /* trees of one unit have one file for it */
        _cleanup_(freep) uint32_t *pids = NULL;
        size_t n = 0;
        int r;

        if (lock < 0)
                return err_pass(lock);
        for (size_t i = 0; i < c->n; i++)
                for (size_t j = 0; j < c->items[i].tree->n_pids; j++)
                        if (model_append(pids, n, c->items[i].tree->pids[j]) < 0)
                                return -ENOMEM;
        r = stop_order(pids, n);
        if (r > 0)
                log_debug("%d units will be stopped only after the save", r);
        return r < 0 ? err_pass(r) : 0;
}

int trees_resolve(const char *target, pid_t caller, Candidates *ret) {
        _cleanup_(world_done) World world = {0};
        SelectWorld select;
        int r;

        r = world_look(&world);
        if (r < 0)
                return err_pass(r);
        select = world_select(&world);
        r = select_resolve(&select, target, caller, ret);
        if (r >= 0 && starts_with(ret->items[0].tree->target, "pid:") && ns_is_inside()) {
                candidates_done(ret);
                r = err_say(-EINVAL,
                            "process numbers in this PID namespace are not those of the host: name a "
                            "session, or run carryover enter first");
        }
        return r < 0 ? err_pass(r) : 0;
}

int kept_own(pid_t pid, char **ret) {
        _cleanup_(candidates_done) Candidates own = {0};
        int r;

        *ret = NULL;
        r = trees_resolve(NULL, pid, &own);
        if (r == -ESRCH)
                return 0;
        if (r >= 0)
                r = select_stable(own.items[0].tree, ret);
        return r < 0 ? err_pass(r) : 0;
}

static int keep_too(Keep *keep, const char *target) {
        char *copy = strdup(target);
        int r = copy ? model_append(keep->targets, keep->n_targets, copy) : -ENOMEM;

        if (r < 0)
                free(copy);
        return r;
}

static int note_refused(const Verdict *problems, Candidates *c) {
        for (size_t i = 0; i < problems->n_notes; i++) {
                const VerdictNote *n = problems->notes + i;

                log_debug("%s", n->text);
                if (c->refused || strcmp(n->what, "target-refused") != 0)
                        continue;
                c->refused = strdup(n->text);
                if (!c->refused)
                        return -ENOMEM;
        }
        return 0;
}

int kept_trees(const Config *config, const char *own, Candidates *ret) {
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
        r = select_kept(&select, keep, config->keep_ssh, ret, &problems);
        if (r >= 0)
                r = note_refused(&problems, ret);
        verdict_done(&problems);
        return r < 0 ? err_pass(r) : 0;
}

int kept_judged(const Config *config, const PreflightFacts *facts, Candidates *ret) {
        int r = kept_trees(config, NULL, ret);

        if (r >= 0)
                r = inspect(facts, ret);
        if (r < 0)
                return err_pass(r);
        kept_forget_gone(ret);
        return 0;
}

void kept_forget_gone(Candidates *c) {
        for (size_t i = c->n; i-- > 0;)
                if (verdict_has(&c->items[i].verdict, "gone")) {
                        log_debug("%s is no longer kept: it has ended", c->items[i].tree->target);
                        candidates_remove(c, i);
                }
}

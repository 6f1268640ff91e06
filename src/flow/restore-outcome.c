/* SPDX-License-Identifier: GPL-2.0-or-later */

/* What became of each tree: durable before its images go, for a restore that is started again. */

#include "flow/restoring.h"

#include "base/err.h"
#include "base/fault.h"
#include "base/log.h"
#include "criu/exec-bit.h"
#include "flow/aftermath.h"
#include "image/remap.h"
#include "report/report.h"

void restoring_say(const Restoring *x, EventKind kind, const Tree *tree, const char *reason) {
        report_event(&(Event){
                        .kind = kind,
                        .ticket = x->ticket->id,
                        .tree = tree ? tree->name : NULL,
                        .reason = reason,
                        .kernel = x->ticket->new_kernel,
                        .gap_usec = tree && tree->outcome ? tree->outcome->gap : 0,
        });
}

/* That it ran is known, and how it ended is not: it is not restored again, and there is nothing to be done
 * for it. One that still runs is pending, and is found by its own restore. */
static int ran_recall(Restoring *x, Tree **tree, Sweep *sweep) {
        Tree *noted;

        if (!restore_had_run(&x->store, *tree, &noted))
                return 0;
        model_free(*tree);
        *tree = noted;
        exec_bits_return_files(*tree, sweep);
        return store_tree_done(&x->store, x->ticket->id, *tree);
}

/* What an earlier start of this restore has noted of a tree that it came to an end with. */
static int outcome_recall(Restoring *x, Tree **tree, Sweep *sweep) {
        int r = report_state(*tree) == OUTCOME__STATE__PENDING
                                ? store_tree_recall(&x->store, x->ticket->id, tree)
                                : 1;

        if (r > 0 && report_state(*tree) == OUTCOME__STATE__PENDING)
                log_failed(ran_recall(x, tree, sweep), "the next start may report a restored tree as lost");
        if (r < 0)
                log_warning("cannot read the result of %s: %s", (*tree)->name, err_text(r));
        if (r == 0)
                x->restart_logind = true; /* whether it was is not noted */
        if (!(*tree)->outcome)
                (*tree)->outcome = model_new(Outcome, outcome__init);
        return (*tree)->outcome ? 0 : -ENOMEM;
}

int restoring_outcomes(Restoring *x) {
        Sweep sweep = by_inode_sweep_begin();
        int r = 0;

        for (size_t i = 0; r >= 0 && i < x->ticket->n_trees; i++)
                r = outcome_recall(x, x->ticket->trees + i, &sweep);
        log_failed(by_inode_sweep_end(&sweep), LEFT_BESIDE);
        return r;
}

bool restoring_is_pending(const Tree *tree) {
        return tree->outcome && tree->outcome->state == OUTCOME__STATE__PENDING;
}

void restoring_failed(Restoring *x, Tree *tree, Outcome__State state, const char *reason) {
        bool useless = x->keyless && restore_is_encrypted(&x->store, tree);
        char *path = NULL;

        tree->outcome->state = state;
        (void)model_set_string(&tree->outcome->reason, reason);
        reason = tree->outcome->reason ?: "out of memory"; /* what was passed may be err_text()'s */
        if (useless)
                log_failed(store_tree_empty(&x->store, tree->name),
                           "images that cannot be decrypted remain in the store");
        if (store_tree_fail(&x->store, x->ticket->id, tree->name, &path) < 0)
                log_warning("%s: cannot move its images to the directory failed", tree->name);
        else if (useless)
                free(path);
        else
                tree->outcome->images = path;
        /* Back in the old kernel, the lock of the dump is still there. */
        log_failed(hold_remove_criu_table(tree_own_root(tree)), "peers of the tree may get no reset");
        log_failed(store_tree_done(&x->store, x->ticket->id, tree),
                   "the result may be lost if the restore restarts");
        restoring_say(x, state == OUTCOME__STATE__LOST ? EVENT_TREE_LOST : EVENT_TREE_FAILED, tree, reason);
        (void)run_progress("  %s: failed: %s", tree->name, reason);
}

/* From the note on, this tree is known to be back, whatever becomes of us. */
static int note_carried(Restoring *x, const Tree *tree) {
        int r = store_tree_done(&x->store, x->ticket->id, tree);

        if (r >= 0)
                r = fault_point("restore:after-outcome");
        if ((r >= 0 || r == -ENOSPC) && !x->config.keep_images) { /* the images are what fills the disk */
                int emptied = store_tree_empty(&x->store, tree->name);

                r = r < 0 && emptied >= 0 ? store_tree_done(&x->store, x->ticket->id, tree) : emptied;
        }
        return r;
}

void restoring_carried(Restoring *x, Tree *tree) {
        int r;

        tree->outcome->state = OUTCOME__STATE__CARRIED;
        r = restore_login(x->manager, tree);
        if (r < 0)
                (void)tree_degrade(tree, "login-record", "loginctl will not show the session", "%s",
                                   err_text(r));
        x->restart_logind |= r > 0;
        log_failed(note_carried(x, tree), "images of the tree remain until the end of the restore");
        restoring_say(x, EVENT_TREE_CARRIED, tree, NULL);
        (void)run_progress("  %s: restored after %.1f s", tree->name, (double)tree->outcome->gap / 1e6);
}

/* SPDX-License-Identifier: GPL-2.0-or-later */

/*
 * A save that died in the middle: killed, crashed, or out of time. Its CRIUs find their client gone, and
 * with the no that this is to them let go of every tree that was not yet allowed to die. What lives then
 * goes on living; what was allowed to die is sealed, and comes back. Nothing is both: a tree that lives
 * leaves the ticket before the system goes on to anything else.
 *
 * In the same boot this runs as ExecStopPost of carryover.service, while the sessions still stand. If the
 * machine went down with the save, the next boot finds the note alone and can only say what it took along.
 */

#include "flow/saving.h"

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/err.h"
#include "base/fd.h"
#include "base/log.h"
#include "base/text.h"
#include "criu/criu.h"
#include "criu/exec-bit.h"
#include "files/config.h"
#include "flow/aftermath.h"
#include "flow/flow.h"
#include "image/remap.h"
#include "kernel/ids.h"
#include "proc/procfs.h"
#include "store/history.h"

#include <string.h>

/* CRIU looks for its client when it asks its next question; a dump that has just begun asks it at the
 * end. */
#define ORPHANS_TIMEOUT (60 * USEC_PER_SEC)

#define INTERRUPTED "the save was interrupted"

static bool runs(const Tree *tree) {
        uint64_t start;

        return process_start_time((pid_t)tree->root_pid, &start) >= 0 && start == tree->root_start;
}

static bool is_saved(const Tree *tree) {
        return !tree->outcome || tree->outcome->state == OUTCOME__STATE__PENDING;
}

/* What lives is to leave the ticket; the number of trees that stay in it. */
static size_t leave_living(Saving *s, bool *living) {
        _cleanup_(freep) char *fate = text_format(INTERRUPTED "; %s", saving_fate(s));
        size_t sealed = 0;

        for (size_t i = 0; i < s->ticket->n_trees; i++) {
                Tree *tree = s->ticket->trees[i];

                living[i] = is_saved(tree) && runs(tree);
                sealed += is_saved(tree) && !living[i];
                if (living[i])
                        (void)saving_leave(tree, fate ?: "out of memory");
        }
        return sealed;
}

/* It is out of the ticket: from here on nothing brings a second one. */
static void mend_living(Saving *s, const bool *living) {
        Sweep sweep = by_inode_sweep_begin();

        for (size_t i = 0; i < s->ticket->n_trees; i++) {
                Tree *tree = s->ticket->trees[i];

                if (!living[i])
                        continue;
                log_failed(save_mend(&s->store, tree, &sweep),
                           "connections of the tree may be blocked until the next boot");
                saving_say(s, EVENT_TREE_REFUSED, tree, tree->outcome ? tree->outcome->reason : NULL);
        }
        log_failed(by_inode_sweep_end(&sweep), LEFT_BESIDE);
}

/* The ticket cannot be changed, and the next boot brings back what it names: so nothing of that may live
 * here. A moment that is lived twice is better than two lives. Its connections stay held, and what was lent
 * to it and made for it stays, for its return. */
static void end_living(Saving *s, const bool *living) {
        for (size_t i = 0; i < s->ticket->n_trees; i++) {
                Tree *tree = s->ticket->trees[i];

                if (!living[i])
                        continue;
                model_free(TAKE(tree->outcome));
                log_warning("%s was running again and was killed: the store cannot be written, and the next "
                            "boot restores the tree",
                            tree->name);
                log_failed(criu_tree_end((pid_t)tree->root_pid, tree->root_start), "the tree may run twice");
        }
}

/* All of it was sealed and has died as it should: the shutdown goes on, and the next boot has the rest. */
static ExitStatus all_sealed(Saving *s) {
        log_warning("the save ended after the seal: the next boot restores all trees");
        log_failed(store_saving_end(&s->store), "cannot remove the note of this save");
        return EXIT_OK;
}

/* The ticket keeps what has died; that comes back as soon as the shutdown is taken back, or with the next
 * boot. */
static ExitStatus partly_sealed(Saving *s) {
        log_failed(saving_hold(s), "peers of running trees get no answer");
        log_failed(store_saving_end(&s->store), "cannot remove the note of this save");
        saving_take_back(s);
        return EXIT_FAILED;
}

/* Out of the ticket with what lives. */
static int ticket_settle(Saving *s, Seal seal, size_t n_sealed) {
        if (seal == SEAL_UNREADABLE)
                return err_say(-EIO, "the ticket is not readable");
        if (n_sealed == 0)
                return store_unseal(&s->store, NULL);
        if (s->request)
                (void)model_set_string(&s->ticket->stopped, INTERRUPTED);
        return store_amend(&s->store, s->ticket);
}

int aftermath_settle(Saving *s, Seal seal) {
        _cleanup_(freep) bool *living = calloc(s->ticket->n_trees ?: 1, sizeof *living);
        size_t n_sealed, n_living = 0;
        int r = 0;

        if (!living)
                return -ENOMEM;
        n_sealed = leave_living(s, living);
        for (size_t i = 0; i < s->ticket->n_trees; i++)
                n_living += living[i];
        if (seal != SEAL_NONE && n_living == 0 && n_sealed > 0)
                return AFTERMATH_SEALED;
        if (seal != SEAL_NONE)
                r = ticket_settle(s, seal, n_sealed);
        if (r < 0) {
                log_warning("cannot remove running trees from the ticket: %s", err_text(r));
                end_living(s, living);
                return AFTERMATH_SEALED;
        }
        mend_living(s, living);
        return seal != SEAL_NONE && n_sealed > 0 ? AFTERMATH_PARTLY : AFTERMATH_STOPPED;
}

static int end_save(Saving *s, ExitStatus *ret) {
        _cleanup_(ticket_freep) Ticket *sealed = NULL;
        Seal seal = SEAL_NONE;
        int r;

        log_failed(criu_wait_orphans(s->config.criu, now_monotonic() + ORPHANS_TIMEOUT),
                   "a session may remain frozen");
        r = store_ticket(&s->store, &sealed);
        if (r < 0)
                log_warning("%s", err_text(r));
        if (r < 0 && store_is_sealed(&s->store))
                seal = SEAL_UNREADABLE;
        if (r == 0 && strcmp(sealed->id, s->ticket->id) != 0) { /* the one that had waited before */
                s->waiting = TAKE(sealed);
                r = 1;
        }
        if (r == 0) {
                seal = SEAL_READ;
                model_free(s->ticket);
                s->ticket = TAKE(sealed);
        }
        s->n_own = s->ticket->n_trees;
        s->may_be_called_off = true;
        if (seal == SEAL_NONE)
                (void)saving_decided(s); /* first: it tells what becomes of what lives */
        r = aftermath_settle(s, seal);
        if (r < 0)
                return err_pass(r);
        if (r == AFTERMATH_STOPPED)
                *ret = saving_stop(s, err_say(-EINTR, INTERRUPTED));
        else
                *ret = r == AFTERMATH_SEALED ? all_sealed(s) : partly_sealed(s);
        return 0;
}

/* Answer 1: no save of this boot has died. */
static int find_save(Saving *s) {
        char boot[37];
        int r;

        log_failed(config_load_anyway("", &s->config), "using the readable files and defaults");
        r = store_open(&s->config, &s->store);
        if (r >= 0)
                r = store_saving(&s->store, &s->ticket);
        if (r != 0)
                return r < 0 ? err_pass(r) : r;
        r = system_boot_id(boot);
        if (r >= 0 && strcmp(s->ticket->old_boot, boot) != 0)
                return 1; /* the restore reports it */
        s->hold = s->config.hold;
        if (r >= 0)
                r = bus_open_manager(&s->manager);
        if (r >= 0)
                r = run_request_read(&s->request);
        return r < 0 ? err_pass(r) : 0;
}

ExitStatus flow_save_aftermath(void) {
        _cleanup_(closep) int lock = run_lock("save");
        _cleanup_(saving_done) Saving s = SAVING_INIT;
        ExitStatus status = EXIT_OK;
        int r;

        if (lock == -EBUSY) { /* it has not died */
                log_error("no cleanup after the save: %s", err_text(lock));
                return EXIT_FAILED;
        }
        r = find_save(&s);
        if (r == 0)
                r = end_save(&s, &status);
        if (r >= 0)
                return status;
        log_error("a save died and the cleanup failed: %s", err_text(r));
        return EXIT_FAILED;
}

static int unsealed(const Store *store, const Ticket *ticket, Tree *tree, Sweep *sweep) {
        static const char reason[] =
                        "the machine went down before the save was complete, and the tree ended";

        exec_bits_return_files(tree, sweep);
        remaps_sweep_lost(tree, sweep);
        log_failed(store_tree_discard(store, tree->name), "unneeded images remain in the store");
        if (!tree->outcome)
                tree->outcome = model_new(Outcome, outcome__init);
        if (!tree->outcome)
                return -ENOMEM;
        tree->outcome->state = OUTCOME__STATE__FAILED;
        if (model_set_string(&tree->outcome->reason, reason) < 0)
                return -ENOMEM;
        report_event(&(Event){.kind = EVENT_TREE_UNSEALED, .ticket = ticket->id, .tree = tree->name});
        return 0;
}

/* The note alone, of another boot. */
static int report_unsealed(const Store *store, Ticket *ticket) {
        Sweep sweep = by_inode_sweep_begin();
        int r = 0;

        for (size_t i = 0; r >= 0 && i < ticket->n_trees; i++)
                r = unsealed(store, ticket, ticket->trees[i], &sweep);
        log_failed(by_inode_sweep_end(&sweep), LEFT_BESIDE);
        log_failed(store_history_add(store, ticket), NOT_IN_HISTORY);
        return r < 0 ? r : store_report_write(store, ticket);
}

/* Answer 1: no save of another boot has died. */
static int find_dead(const Store *store, Ticket **ret) {
        _cleanup_(ticket_freep) Ticket *note = NULL;
        char boot[37];
        int r = store_saving(store, &note);

        if (r == 0)
                r = system_boot_id(boot);
        if (r == 0 && strcmp(note->old_boot, boot) == 0)
                return 1; /* it is under way */
        if (r == 0)
                *ret = TAKE(note);
        return r;
}

void aftermath_of_boot(const Store *store) {
        _cleanup_(ticket_freep) Ticket *note = NULL;
        int r = find_dead(store, &note);

        if (r == 0 && note->n_trees > 0)
                r = report_unsealed(store, note);
        if (r == 0)
                r = store_saving_end(store);
        log_failed(r, "trees that ended during a save are not reported");
}

void aftermath_of_ticket(const Store *store, Ticket *ticket) {
        _cleanup_(ticket_freep) Ticket *note = NULL;
        Sweep sweep = by_inode_sweep_begin();
        int r = find_dead(store, &note);

        if (r == 0 && strcmp(note->id, ticket->id) == 0)
                return; /* it is what this save has sealed */
        while (r == 0 && note->n_trees > 0) {
                Tree *tree = note->trees[--note->n_trees];

                if (!ticket_find(ticket, tree->name))
                        r = unsealed(store, ticket, tree, &sweep);
                if (r < 0 || ticket_find(ticket, tree->name) ||
                    (r = model_append(ticket->trees, ticket->n_trees, tree)) < 0)
                        model_free(tree);
        }
        log_failed(r, "trees that ended during a save are not reported");
        log_failed(by_inode_sweep_end(&sweep), LEFT_BESIDE);
}

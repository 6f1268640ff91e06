/* SPDX-License-Identifier: GPL-2.0-or-later */

/*
 * `carryover restore`: one more try for a tree whose images were kept. The report becomes a ticket again, in
 * which that tree alone is pending, and carryover-restore.service does with it what it always does: so the
 * claim, and with it the promise that nothing runs twice, is the same. What is begun by hand is begun anew;
 * a tree that may have run already must be asked for with --force.
 */

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/err.h"
#include "base/fd.h"
#include "early/early.h"
#include "files/config.h"
#include "flow/flow.h"
#include "report/report.h"
#include "report/wait.h"
#include "restore/restore.h"
#include "store/store.h"
#include "systemd/bus.h"

#include <stdio.h>
#include <string.h>

static int refuse(const Tree *tree) {
        if (report_may_retry(tree, true))
                return err_say(-EPERM,
                               "%s may have run for a moment already, and would repeat what it did: use "
                               "--force to restore it anyway",
                               tree->name);
        if (report_state(tree) == OUTCOME__STATE__CARRIED)
                return err_say(-EPERM, "%s is running: it was carried", tree->name);
        return err_say(-EPERM, "no images of %s to restore: see carryover status", tree->name);
}

/* Without a name: the only one that can be tried. */
static int choose(const Ticket *report, const char *name, bool force, Tree **ret) {
        Tree *found = NULL;

        for (size_t i = 0; i < report->n_trees; i++) {
                Tree *tree = report->trees[i];

                if (name && strcmp(tree->name, name) != 0)
                        continue;
                if (!report_may_retry(tree, force)) {
                        if (name)
                                return refuse(tree);
                        continue;
                }
                if (found)
                        return err_say(-EINVAL, "more than one tree can be restored, name one: %s, %s",
                                       found->name, tree->name);
                found = tree;
        }
        if (!found && name)
                return err_say(-ENOENT, "the last save has no tree '%s': see carryover status", name);
        if (!found)
                return err_say(-ENOENT, "nothing to restore: see carryover status");
        *ret = found;
        return 0;
}

/* It may have come back without our knowing. */
static int refuse_living(const Tree *tree) {
        pid_t pid;
        int r = restore_living(tree, &pid);

        if (r == 0)
                return err_say(-EPERM, "%s is already running: process %d belongs to it", tree->name,
                               (int)pid);
        return r < 0 ? err_pass(r) : 0;
}

/* What the last restore has added goes, but for what became of the other trees. */
static void make_ticket(Ticket *report, Tree *tree, uint64_t request) {
        size_t n = 0;

        model_free(TAKE(tree->outcome));
        for (size_t i = 0; i < report->n_steps; i++)
                if (report->steps[i]->after_jump)
                        model_free(report->steps[i]);
                else
                        report->steps[n++] = report->steps[i];
        report->n_steps = n;
        report->has_claimed_at = report->has_done_at = false;
        free(TAKE(report->stopped));
        report->has_retry = report->retry = true;
        report->has_request_at = true;
        report->request_at = request;
}

/* In this order: images without a ticket are found again by the next try, a ticket without images is not. */
static int hand_over(const Store *store, Ticket *ticket, const Tree *tree) {
        int r;

        r = store_tree_retry(store, ticket->id, tree->name);
        if (r == -ENOENT)
                return err_say(r, "%s cannot be restored: its images are gone", tree->name);
        if (r >= 0)
                r = store_seal(store, ticket, NULL);
        return r < 0 ? err_pass(r) : 0;
}

/* The restore before this one may still run: it has reported, and overwrites images until it is stopped. To
 * start what runs would do nothing, and so would it after too many starts that crashed. */
static int start_restore(void) {
        _cleanup_(bus_closep) Bus *manager = NULL;
        int r = bus_open_manager(&manager);

        if (r >= 0)
                r = bus_reset_unit(manager, RESTORE_UNIT);
        if (r >= 0)
                r = bus_restart_unit(manager, RESTORE_UNIT);
        return r < 0 ? err_prefix(r, "the restore starts at the next boot, or with `systemctl "
                                     "start " RESTORE_UNIT "`: ")
                     : 0;
}

static ExitStatus status_of_refusal(int r) {
        return r == -EINVAL ? EXIT_USAGE : r == -EPERM ? EXIT_REFUSED : EXIT_FAILED;
}

/* An errno. *ret: the name of the tree, the caller's to free. *ret_status: what to exit with if it was
 * refused. */
static int ask(const Config *config, const char *name, bool force, uint64_t request, char **ret,
               ExitStatus *ret_status) {
        _cleanup_(store_close) Store store = {.fd = -1};
        _cleanup_(ticket_freep) Ticket *report = NULL;
        _cleanup_(closep) int lock = run_lock("retry");
        Tree *tree = NULL;
        int r = lock;

        if (r >= 0)
                r = store_open(config, &store);
        if (r >= 0)
                r = store_vacant(&store);
        if (r >= 0)
                r = store_report(&store, &report);
        if (r > 0)
                r = err_say(-ENOENT, "nothing has been carried yet: see carryover check");
        if (r < 0)
                return err_pass(r);
        r = choose(report, name, force, &tree);
        if (r >= 0)
                r = refuse_living(tree);
        if (r < 0) {
                *ret_status = status_of_refusal(r);
                return err_pass(r);
        }
        *ret = strdup(tree->name);
        if (!*ret)
                return -ENOMEM;
        make_ticket(report, tree, request);
        return hand_over(&store, report, tree);
}

ExitStatus flow_retry(const char *name, bool force) {
        _cleanup_(freep) char *tree = NULL;
        uint64_t request = now_realtime();
        ExitStatus status = EXIT_FAILED;
        Config config;
        Wait wait;
        int r;

        r = early_off() ? err_say(-EPERM, "nothing is restored in this boot: carryover=off is on the kernel "
                                          "command line")
                        : config_load("", &config);
        if (r >= 0) {
                wait = wait_begin(&config, request);
                r = ask(&config, name, force, request, &tree, &status);
        }
        if (r >= 0)
                r = start_restore();
        if (r >= 0) {
                printf("restoring %s\n", tree);
                fflush(stdout);
                return wait_answer(&wait, tree);
        }
        (void)flow_fail(r);
        return status;
}

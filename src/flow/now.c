/* SPDX-License-Identifier: GPL-2.0-or-later */

#include "flow/now.h"

#include "base/cleanup.h"
#include "base/err.h"
#include "base/text.h"
#include "files/config.h"
#include "inspect/kept.h"
#include "netfilter/hold.h"
#include "restore/restore.h"
#include "store/store.h"
#include "store/watch.h"
#include "systemd/scheduled.h"

#include <stdio.h>
#include <string.h>

void now_done(Now *now) {
        model_free(now->ticket);
        free(now->bad);
        *now = (Now){0};
}

/* What is known already of a restore that has not reported, or could not. */
static int recall(const Store *store, Ticket *ticket) {
        int r = 0;

        for (size_t i = 0; r >= 0 && i < ticket->n_trees; i++)
                if (report_state(ticket->trees[i]) == OUTCOME__STATE__PENDING)
                        r = store_tree_recall(store, ticket->id, ticket->trees + i);
        return r < 0 ? err_pass(r) : 0;
}

/* What a restore that is under way waits for. */
static int explain(Ticket *ticket) {
        int r = 0;

        for (size_t i = 0; r >= 0 && i < ticket->n_trees; i++) {
                Tree *tree = ticket->trees[i];

                if (report_state(tree) != OUTCOME__STATE__PENDING || restore_waits_for(tree) != -ETIMEDOUT)
                        continue;
                if (!tree->outcome)
                        tree->outcome = model_new(Outcome, outcome__init);
                r = tree->outcome ? model_set_string(&tree->outcome->reason, err_text(-ETIMEDOUT)) : -ENOMEM;
        }
        return r;
}

/* Answer 1: there is nothing to tell of. */
static int newest(const Store *store, Ticket **ret, ReportPhase *ret_phase) {
        bool ours = false;
        int r;

        *ret_phase = PHASE_SEALED;
        r = store_ticket(store, ret);
        if (r != 1)
                return r;
        r = store_claimed(store, ret, &ours);
        *ret_phase = ours ? PHASE_RESTORING : PHASE_INTERRUPTED;
        if (r == 0)
                r = recall(store, *ret);
        if (r == 0 && ours)
                r = explain(*ret);
        if (r <= 0)
                return err_pass(r);
        *ret_phase = PHASE_IDLE;
        return store_report(store, ret);
}

static int look_around(const Config *config, ReportNow *now) {
        _cleanup_(candidates_done) Candidates kept = {0};
        Scheduled scheduled;
        size_t held = 0;
        int r;

        r = kept_trees(config, NULL, &kept);
        if (r < 0)
                return err_pass(r);
        now->kept = kept.n;
        now->gone = kept.n_gone;
        if (scheduled_shutdown("", &scheduled) == 0) {
                snprintf(now->scheduled, sizeof now->scheduled, "%s", scheduled.action);
                now->scheduled_at = scheduled.realtime;
        }
        r = hold_present(&held);
        if (r < 0)
                return err_prefix(r, "cannot determine the state of the hold: ");
        now->hold = r > 0;
        now->held = held;
        return 0;
}

/* Leaves one tree, and the steps that are its own or everybody's, but not who else has ended. */
static int only(Ticket *ticket, const char *name) {
        size_t n = 0;

        if (!ticket_find(ticket, name))
                return err_say(-ENOENT, "the last save has no tree '%s': see carryover status", name);
        for (size_t i = 0; i < ticket->n_trees; i++)
                if (strcmp(ticket->trees[i]->name, name) == 0)
                        ticket->trees[n++] = ticket->trees[i];
                else
                        model_free(ticket->trees[i]);
        ticket->n_trees = n;
        n = 0;
        for (size_t i = 0; i < ticket->n_steps; i++)
                if (!ticket->steps[i]->tree || strcmp(ticket->steps[i]->tree, name) == 0)
                        ticket->steps[n++] = ticket->steps[i];
                else
                        model_free(ticket->steps[i]);
        ticket->n_steps = n;
        while (ticket->n_ended > 0)
                model_free(ticket->ended[--ticket->n_ended]);
        return 0;
}

static int open_store(Config *ret_config, Store *ret) {
        int r = config_load("", ret_config);

        return r < 0 ? err_pass(r) : store_open(ret_config, ret);
}

int now_look(const char *tree, Now *ret) {
        _cleanup_(now_done) Now now = {.stands.phase = PHASE_IDLE};
        _cleanup_(store_close) Store store = {.fd = -1};
        Config config;
        int r;

        r = open_store(&config, &store);
        if (r >= 0)
                r = newest(&store, &now.ticket, &now.stands.phase);
        if (r >= 0)
                r = look_around(&config, &now.stands);
        if (r >= 0 && tree)
                r = now.ticket ? only(now.ticket, tree)
                               : err_say(-ENOENT, "nothing has been carried yet: see carryover check");
        if (r >= 0 && store_bad(&store)) {
                now.bad = text_format("%s/ticket.bad", store.path);
                r = now.bad ? 0 : -ENOMEM;
        }
        if (r < 0)
                return err_pass(r);
        *ret = now;
        now = (Now){0};
        return 0;
}

int now_watch(void) {
        _cleanup_(store_close) Store store = {.fd = -1};
        Config config;
        int r = open_store(&config, &store);

        return r < 0 ? err_pass(r) : store_watch(&store);
}

int now_history(History *ret) {
        _cleanup_(store_close) Store store = {.fd = -1};
        Config config;
        int r = open_store(&config, &store);

        if (r >= 0)
                r = store_history(&store, ret);
        return r < 0 ? err_pass(r) : 0;
}

/* While others are still under way, too. */
static bool has_failed(const Ticket *ticket) {
        for (size_t i = 0; i < ticket->n_trees; i++) {
                Outcome__State state = report_state(ticket->trees[i]);

                if (state != OUTCOME__STATE__PENDING && state != OUTCOME__STATE__CARRIED)
                        return true;
        }
        return ticket->n_ended > 0 && !ticket->stopped;
}

ExitStatus now_status(const Now *now) {
        if (!now->ticket)
                return now->stands.kept > 0 ? EXIT_OK : EXIT_NOTHING;
        if (now->stands.phase == PHASE_INTERRUPTED || has_failed(now->ticket))
                return EXIT_FAILED;
        return report_verdict(now->ticket) == REPORT_STOPPED ? EXIT_FAILED : EXIT_OK;
}

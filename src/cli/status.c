/* SPDX-License-Identifier: GPL-2.0-or-later */

/* What became of the last save. The newest ticket is shown: one that waits for the next boot or is being
 * restored comes before the report of an older save. */

#include "base/cleanup.h"
#include "base/err.h"
#include "cli/output.h"
#include "files/config.h"
#include "netfilter/hold.h"
#include "report/report.h"
#include "restore/needs.h"
#include "store/store.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

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

static int look_around(ReportNow *now) {
        _cleanup_(keep_freep) Keep *keep = NULL;
        size_t held = 0;
        int r;

        r = run_keep_read(&keep);
        if (r < 0)
                return err_pass(r);
        now->kept = keep->n_targets;
        r = hold_present(&held);
        if (r < 0)
                return err_prefix(r, "looking for the hold: ");
        now->hold = r > 0;
        now->held = held;
        return 0;
}

/* Leaves one tree, and the steps that are its own or everybody's. */
static int only(Ticket *ticket, const char *name) {
        size_t n = 0;

        if (!ticket_find(ticket, name))
                return err_say(-ENOENT, "the last save had no tree '%s': see carryover status", name);
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
        return 0;
}

static void show_now(const ReportNow *now) {
        static const char *const phases[] = {
                        [PHASE_IDLE] = "nothing under way",
                        [PHASE_SEALED] = "sealed, waiting for the next boot",
                        [PHASE_RESTORING] = "a restore is under way",
                        [PHASE_INTERRUPTED] = "a restore was interrupted by the end of its boot",
        };

        printf("       Now: %s; %" PRIu64 " kept", phases[now->phase], now->kept);
        if (now->hold)
                printf("; the hold stands, %" PRIu64 " connection%s\n", now->held,
                       now->held == 1 ? "" : "s");
        else
                printf("; no hold\n");
}

static ExitStatus show(const CliCall *call, const Ticket *ticket, const ReportNow *now) {
        int r = 0;

        output_begin(call);
        if (call->json != CLI_TEXT)
                r = report_json(stdout, ticket, now, call->json == CLI_JSON_PRETTY);
        else {
                show_now(now);
                if (ticket)
                        report_summary(stdout, ticket, output_style().colour);
                else
                        printf("No save yet: see carryover keep\n");
        }
        if (r < 0) {
                output_end();
                return cli_fail(r);
        }
        return output_finish();
}

/* While others are still under way, too. */
static bool has_failed(const Ticket *ticket) {
        for (size_t i = 0; i < ticket->n_trees; i++) {
                Outcome__State state = report_state(ticket->trees[i]);

                if (state != OUTCOME__STATE__PENDING && state != OUTCOME__STATE__CARRIED)
                        return true;
        }
        return false;
}

static ExitStatus exit_status(const Ticket *ticket, const ReportNow *now) {
        if (!ticket)
                return now->kept > 0 ? EXIT_OK : EXIT_NOTHING;
        if (now->phase == PHASE_INTERRUPTED || has_failed(ticket))
                return EXIT_FAILED;
        return report_verdict(ticket) == REPORT_STOPPED ? EXIT_FAILED : EXIT_OK;
}

ExitStatus verb_status(const CliCall *call) {
        _cleanup_(store_close) Store store = {.fd = -1};
        _cleanup_(ticket_freep) Ticket *ticket = NULL;
        ReportNow now = {.phase = PHASE_IDLE};
        ExitStatus shown;
        Config config;
        int r;

        r = config_load("", &config);
        if (r >= 0)
                r = store_open(&config, &store);
        if (r >= 0)
                r = newest(&store, &ticket, &now.phase);
        if (r >= 0)
                r = look_around(&now);
        if (r >= 0 && cli_arg(call, 0))
                r = ticket ? only(ticket, cli_arg(call, 0))
                           : err_say(-ENOENT, "there was no save yet: see carryover keep");
        if (r < 0)
                return cli_fail(r);
        shown = show(call, ticket, &now);
        if (shown == EXIT_OK && store_bad(&store))
                return cli_fail(err_say(
                                -EBADMSG,
                                "a ticket was cut short or altered, and nothing of it was used: look "
                                "at %s/ticket.bad and remove it",
                                store.path));
        return shown == EXIT_OK ? exit_status(ticket, &now) : shown;
}

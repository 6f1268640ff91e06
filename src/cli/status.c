/* SPDX-License-Identifier: GPL-2.0-or-later */

/* What became of the last save. */

#include "base/cleanup.h"
#include "base/err.h"
#include "base/text.h"
#include "cli/output.h"
#include "flow/metrics.h"
#include "flow/now.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>

static void show_now(const ReportNow *now) {
        static const char *const phases[] = {
                        [PHASE_IDLE] = "idle",
                        [PHASE_SEALED] = "sealed, waiting for the next boot",
                        [PHASE_RESTORING] = "restore in progress",
                        [PHASE_INTERRUPTED] = "restore interrupted: its boot ended",
        };

        printf("%10s: %s; ", "State", phases[now->phase]);
        if (now->kept > 0)
                printf("%" PRIu64 " tree%s kept", now->kept, now->kept == 1 ? "" : "s");
        else
                printf("nothing kept");
        if (now->gone > 0)
                printf("; %" PRIu64 " kept target%s gone", now->gone, now->gone == 1 ? "" : "s");
        if (now->held > 0)
                printf("; %" PRIu64 " connection%s held\n", now->held, now->held == 1 ? "" : "s");
        else
                printf("; %s\n", now->hold ? "ports held" : "no connections held");
}

/* stands: what stands now, or NULL for an older save. */
static void show_text(const CliCall *call, const Ticket *report, const ReportNow *stands) {
        bool colour = output_style().colour;

        if (report)
                report_headline(stdout, report, colour);
        else
                printf("Nothing has been carried yet. Start with: carryover check\n");
        if (stands) {
                show_now(stands);
                report_scheduled(stdout, stands);
        }
        if (report)
                report_details(stdout, report, stands != NULL, colour);
        if (report && cli_option(call, "steps"))
                report_steps(stdout, report, colour);
}

static int write_svg(FILE *out, const void *report) {
        return err_pass(report_svg(out, report));
}

/* Nothing is written before all of it is there. */
static ExitStatus draw(const char *path, const Ticket *report) {
        _cleanup_(freep) char *text = NULL;
        _cleanup_(fclosep) FILE *out = NULL;
        int r;

        r = report ? text_written(write_svg, report, &text)
                   : err_say(-ENOENT, "nothing has been carried yet: see carryover check");
        if (r < 0)
                return cli_fail(r);
        out = fopen(path, "we");
        if (!out || fputs(text, out) < 0 || fflush(out) != 0)
                return cli_fail(err_born(-errno, "cannot write %s", path));
        return EXIT_OK;
}

static ExitStatus show(const CliCall *call, const Ticket *report, const ReportNow *stands) {
        const char *picture = cli_option(call, "svg");
        int r = 0;

        if (picture)
                return draw(picture, report);
        output_begin(call);
        if (call->json != CLI_TEXT)
                r = report_json(stdout, report, stands, call->json == CLI_JSON_PRETTY);
        else
                show_text(call, report, stands);
        if (r < 0) {
                output_end();
                return cli_fail(r);
        }
        return output_finish();
}

/* One of the history: as it was, without what stands now. */
static ExitStatus status_of_last(const CliCall *call, const char *last) {
        _cleanup_(history_done) History history = {0};
        ExitStatus shown;
        uint64_t number;
        int r;

        if (parse_u64(last, STORE_HISTORY, &number) < 0 || number == 0 || cli_arg(call, 0)) {
                (void)cli_fail(err_say(-EINVAL, "--last= takes a number from 1 to %u, and no tree",
                                       STORE_HISTORY));
                return EXIT_USAGE;
        }
        r = now_history(&history);
        if (r >= 0 && number > history.n)
                r = err_say(-ENOENT, "there are %zu saves in the history: see carryover history", history.n);
        if (r < 0)
                return cli_fail(r);
        shown = show(call, history.reports[number - 1], NULL);
        return shown != EXIT_OK ? shown : report_ok(history.reports[number - 1]) ? EXIT_OK : EXIT_FAILED;
}

/* Says whether it could be found out: what it says of the last save is for whoever watches. */
static ExitStatus status_metrics(const CliCall *call) {
        int r;

        if (call->n_args > 0 || cli_option(call, "last")) {
                (void)cli_fail(err_say(-EINVAL, "--openmetrics takes no tree and no --last"));
                return EXIT_USAGE;
        }
        r = metrics_write(stdout);
        return r < 0 ? cli_fail(r) : output_finish();
}

/* How many forms of the answer are asked for; --json always has the steps. */
static unsigned forms(const CliCall *call) {
        bool text = cli_option(call, "steps") && call->json == CLI_TEXT;

        return (call->json != CLI_TEXT) + text + !!cli_option(call, "svg") +
               !!cli_option(call, "openmetrics");
}

ExitStatus verb_status(const CliCall *call) {
        _cleanup_(now_done) Now now = {0};
        const char *last = cli_option(call, "last");
        ExitStatus shown;
        int r;

        if (forms(call) > 1) {
                (void)cli_fail(err_say(-EINVAL, "--json, --svg and --openmetrics exclude each other, and "
                                                "--steps"));
                return EXIT_USAGE;
        }
        if (cli_option(call, "openmetrics"))
                return status_metrics(call);
        if (last)
                return status_of_last(call, last);
        r = now_look(cli_arg(call, 0), &now);
        if (r < 0)
                return cli_fail(r);
        shown = show(call, now.ticket, &now.stands);
        if (shown == EXIT_OK && now.bad)
                return cli_fail(err_say(-EBADMSG,
                                        "a ticket is truncated or modified and was not used: inspect %s, "
                                        "then remove it",
                                        now.bad));
        return shown == EXIT_OK ? now_status(&now) : shown;
}

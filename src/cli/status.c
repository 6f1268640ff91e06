/* SPDX-License-Identifier: GPL-2.0-or-later */

/* What became of the last save. */

#include "base/cleanup.h"
#include "base/err.h"
#include "cli/output.h"
#include "flow/now.h"

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

static void show_text(const CliCall *call, const Now *now) {
        bool colour = output_style().colour;

        if (now->ticket)
                report_headline(stdout, now->ticket, colour);
        else
                printf("Nothing has been carried yet. Start with: carryover check\n");
        show_now(&now->stands);
        report_scheduled(stdout, &now->stands);
        if (now->ticket)
                report_details(stdout, now->ticket, colour);
        if (now->ticket && cli_option(call, "steps"))
                report_steps(stdout, now->ticket, colour);
}

static ExitStatus show(const CliCall *call, const Now *now) {
        int r = 0;

        output_begin(call);
        if (call->json != CLI_TEXT)
                r = report_json(stdout, now->ticket, &now->stands, call->json == CLI_JSON_PRETTY);
        else
                show_text(call, now);
        if (r < 0) {
                output_end();
                return cli_fail(r);
        }
        return output_finish();
}

ExitStatus verb_status(const CliCall *call) {
        _cleanup_(now_done) Now now = {0};
        ExitStatus shown;
        int r;

        r = now_look(cli_arg(call, 0), &now);
        if (r < 0)
                return cli_fail(r);
        shown = show(call, &now);
        if (shown == EXIT_OK && now.bad)
                return cli_fail(err_say(-EBADMSG,
                                        "a ticket is truncated or modified and was not used: inspect %s, "
                                        "then remove it",
                                        now.bad));
        return shown == EXIT_OK ? now_status(&now) : shown;
}

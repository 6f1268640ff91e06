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

        printf("       Now: %s; %" PRIu64 " kept", phases[now->phase], now->kept);
        if (now->hold)
                printf("; hold active, %" PRIu64 " connection%s\n", now->held, now->held == 1 ? "" : "s");
        else
                printf("; no hold\n");
}

static ExitStatus show(const CliCall *call, const Now *now) {
        int r = 0;

        output_begin(call);
        if (call->json != CLI_TEXT)
                r = report_json(stdout, now->ticket, &now->stands, call->json == CLI_JSON_PRETTY);
        else {
                show_now(&now->stands);
                report_scheduled(stdout, &now->stands);
                if (now->ticket)
                        report_summary(stdout, now->ticket, output_style().colour);
                else
                        printf("No save yet: see carryover keep\n");
        }
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

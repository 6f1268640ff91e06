/* SPDX-License-Identifier: GPL-2.0-or-later */

/* The last saves, one in a line; `status --last=N` shows one of them. */

#include "base/cleanup.h"
#include "cli/output.h"
#include "flow/now.h"

#include <stdio.h>

ExitStatus verb_history(const CliCall *call) {
        _cleanup_(history_done) History history = {0};
        int r = now_history(&history);

        if (r < 0)
                return cli_fail(r);
        if (history.damaged)
                fprintf(stderr, "carryover: a report is damaged and left out: remove %s\n", history.damaged);
        if (history.n == 0)
                fprintf(stderr, "carryover: nothing has been carried yet: start with carryover check\n");
        output_begin(call);
        if (call->json == CLI_TEXT)
                report_history(stdout, history.reports, history.n, output_style().colour);
        else
                r = report_history_json(stdout, history.reports, history.n, call->json == CLI_JSON_PRETTY);
        if (r < 0) {
                output_end();
                return cli_fail(r);
        }
        return output_finish();
}

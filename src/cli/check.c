/* SPDX-License-Identifier: GPL-2.0-or-later */

#include "base/cleanup.h"
#include "base/err.h"
#include "cli/output.h"
#include "cli/target.h"
#include "report/census.h"

#include <stdio.h>

static ExitStatus show_all(const CliCall *call, const Candidates *kept, const Census *census) {
        int r = 0;

        output_begin(call);
        if (call->json != CLI_TEXT)
                r = report_census_json(stdout, census, &kept->machine, call->json == CLI_JSON_PRETTY);
        else {
                report_census(stdout, census, cli_option(call, "verbose"), output_style());
                if (kept->machine.level != VERDICT_OK) {
                        fputc('\n', stdout);
                        report_machine(stdout, &kept->machine, output_style());
                }
        }
        if (r < 0) {
                output_end();
                return cli_fail(r);
        }
        return output_finish();
}

/* Refused is what reboot would not do without a question. What is lost shows in the rows: a line on stderr
 * would say it twice. */
static ExitStatus check_all(const CliCall *call) {
        _cleanup_(candidates_done) Candidates kept = {0};
        _cleanup_(census_done) Census census = {0};
        ExitStatus status;
        int r = keep_census(&kept, &census);

        if (r < 0)
                return cli_fail(r);
        status = show_all(call, &kept, &census);
        if (status == EXIT_OK && (kept.machine.level == VERDICT_REFUSED || census_ends(&census, false) > 0))
                return EXIT_REFUSED;
        return status;
}

static ExitStatus usage(const char *why) {
        (void)cli_fail(err_say(-EINVAL, "%s: see carryover check --help", why));
        return EXIT_USAGE;
}

ExitStatus verb_check(const CliCall *call) {
        _cleanup_(candidates_done) Candidates trees = {0};
        ExitStatus status;

        if (cli_option(call, "all"))
                return cli_arg(call, 0) ? usage("name a target or --all, not both") : check_all(call);
        if (cli_option(call, "verbose"))
                return usage("--verbose needs --all");
        status = target_inspect(call, &trees);
        if (status == EXIT_OK)
                status = target_show(call, &trees);
        return status == EXIT_OK ? target_refused(&trees, "cannot be carried") : status;
}

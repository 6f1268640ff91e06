/* SPDX-License-Identifier: GPL-2.0-or-later */

#include "cli/target.h"

#include "base/cleanup.h"
#include "base/err.h"
#include "cli/output.h"

#include <stdio.h>
#include <unistd.h>

ExitStatus target_inspect(const CliCall *call, Candidates *ret) {
        int r;

        r = trees_resolve(cli_arg(call, 0), getpid(), ret);
        if (r < 0)
                return cli_fail_target(r);
        r = keep_inspect(ret);
        return r < 0 ? cli_fail(r) : EXIT_OK;
}

ExitStatus target_refused(const Candidates *trees, const char *consequence) {
        _cleanup_(freep) char *why = NULL;

        if (!candidates_refused(trees, &why))
                return EXIT_OK;
        (void)cli_fail(err_say(-EPERM, "%s: %s", consequence, why ?: "no memory to say why"));
        return EXIT_REFUSED;
}

ExitStatus target_show(const CliCall *call, const Candidates *trees) {
        int r = 0;

        output_begin(call);
        if (call->json != CLI_TEXT)
                r = report_trees_json(stdout, trees, call->json == CLI_JSON_PRETTY);
        else {
                for (size_t i = 0; i < trees->n; i++)
                        report_tree(stdout, trees->items + i, output_style());
                report_machine(stdout, &trees->machine, output_style());
        }
        if (r < 0) {
                output_end();
                return cli_fail(r);
        }
        return output_finish();
}

/* SPDX-License-Identifier: GPL-2.0-or-later */

#include "cli/target.h"

#include "base/cleanup.h"
#include "base/err.h"
#include "base/text.h"
#include "cli/output.h"
#include "files/config.h"

#include <stdio.h>
#include <unistd.h>

int target_trees(const CliCall *call, Trees *ret) {
        _cleanup_(world_done) World world = {0};
        SelectWorld select;
        Trees trees = {0};
        int r;

        r = world_look(&world);
        if (r < 0)
                return err_pass(r);
        select = world_select(&world);
        r = select_resolve(&select, cli_arg(call, 0), getpid(), &trees.items, &trees.n);
        if (r < 0)
                return err_pass(r);
        *ret = trees;
        return 0;
}

ExitStatus target_inspect(const CliCall *call, Trees *ret, Inspection *ret_inspection) {
        _cleanup_(preflight_facts_done) PreflightFacts facts = {0};
        _cleanup_(trees_done) Trees trees = {0};
        Config config;
        int r;

        r = target_trees(call, &trees);
        if (r < 0)
                return cli_fail_target(r);
        r = config_load("", &config);
        if (r >= 0)
                r = facts_gather(&config, NULL, true, &facts);
        if (r >= 0)
                r = inspect(&facts, trees.items, trees.n, ret_inspection);
        if (r < 0)
                return cli_fail(r);
        *ret = trees;
        trees = (Trees){0};
        return EXIT_OK;
}

ExitStatus target_refused(const Inspection *inspection, const char *consequence) {
        _cleanup_(freep) char *why = NULL;

        if (inspection->worst != VERDICT_REFUSED)
                return EXIT_OK;
        why = inspection_refusal(inspection);
        (void)cli_fail(err_say(-EPERM, "%s: %s", consequence, why ?: "no memory to say why"));
        return EXIT_REFUSED;
}

ExitStatus target_show(const CliCall *call, const Trees *trees, const Inspection *inspection) {
        int r = 0;

        output_begin(call);
        if (call->json != CLI_TEXT)
                r = report_trees_json(stdout, trees->items, inspection->verdicts, trees->n,
                                      &inspection->machine, call->json == CLI_JSON_PRETTY);
        else {
                for (size_t i = 0; i < trees->n; i++)
                        report_tree(stdout, trees->items[i], inspection->verdicts + i, output_style());
                report_machine(stdout, &inspection->machine, output_style());
        }
        if (r < 0) {
                output_end();
                return cli_fail(r);
        }
        return output_finish();
}

/* SPDX-License-Identifier: GPL-2.0-or-later */

/* What is kept is checked now, while its user is there to change something. */

#include "base/cleanup.h"
#include "base/err.h"
#include "cli/target.h"

#include <stdio.h>

ExitStatus verb_keep(const CliCall *call) {
        _cleanup_(candidates_done) Candidates trees = {0};
        ExitStatus status;
        int r, missing = 0;

        status = target_inspect(call, &trees);
        if (status == EXIT_OK)
                status = target_show(call, &trees);
        if (status == EXIT_OK)
                status = target_refused(&trees, "not kept");
        if (status != EXIT_OK)
                return status;
        r = keep_trees(&trees, &missing);
        if (r < 0)
                return cli_fail(r);
        if (missing > 0)
                fprintf(stderr, "carryover: " KEEP_MODULES_MISSING "\n");
        if (call->json == CLI_TEXT)
                printf("%s is %s.\n", trees.items[0].tree->target, r == 1 ? "already kept" : "kept");
        return EXIT_OK;
}

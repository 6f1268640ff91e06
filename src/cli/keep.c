/* SPDX-License-Identifier: GPL-2.0-or-later */

/*
 * What is kept is checked now, while its user is there to change something; and the kernel's modules that a
 * save and a hold need are loaded now, before a package upgrade takes them away (the reboot is often there
 * because of one). Their units are ordered now, too, so that a shutdown which somebody else begins stops
 * them only after the save.
 */

#include "base/cleanup.h"
#include "base/err.h"
#include "cli/target.h"
#include "flow/flow.h"
#include "store/store.h"

#include <stdio.h>
#include <string.h>

static int keep_add(Keep *keep, void *userdata) {
        const char *target = userdata;
        char *copy;
        int r;

        for (size_t i = 0; i < keep->n_targets; i++)
                if (strcmp(keep->targets[i], target) == 0)
                        return 0;
        copy = strdup(target);
        r = copy ? model_append(keep->targets, keep->n_targets, copy) : -ENOMEM;
        if (r < 0)
                free(copy);
        return r < 0 ? r : 1;
}

/* Answer 0 if it was there already. All trees of a session or unit have the same target. */
static int keep(const Tree *tree) {
        _cleanup_(freep) char *target = NULL;
        int r = select_stable(tree, &target);

        if (r >= 0)
                r = run_keep_change(keep_add, target);
        return r < 0 ? err_pass(r) : r;
}

ExitStatus verb_keep(const CliCall *call) {
        _cleanup_(inspection_done) Inspection inspection = {0};
        _cleanup_(trees_done) Trees trees = {0};
        ExitStatus status;
        int r;

        status = target_inspect(call, &trees, &inspection);
        if (status == EXIT_OK)
                status = target_show(call, &trees, &inspection);
        if (status == EXIT_OK)
                status = target_refused(&inspection, "not kept");
        if (status != EXIT_OK)
                return status;
        r = trees_stop_order(&trees);
        if (r >= 0)
                r = keep(trees.items[0]);
        if (r < 0)
                return cli_fail(r);
        if (modules_prepare() > 0)
                fprintf(stderr, "carryover: some kernel modules could not be loaded; a save may fail\n");
        if (call->json == CLI_TEXT)
                printf("%s is %s.\n", trees.items[0]->target, r == 0 ? "kept already" : "kept");
        return EXIT_OK;
}

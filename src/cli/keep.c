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
#include "sys/kmod.h"
#include "sys/store.h"

#include <stdio.h>
#include <string.h>

/* Answer 1 if it was there already. All trees of a session or unit have the same target. */
static int keep_add(const Tree *tree) {
        _cleanup_(keep_freep) Keep *keep = NULL;
        char *target = NULL;
        int r;

        r = run_keep_read(&keep);
        if (r >= 0)
                r = select_stable(tree, &target);
        if (r < 0)
                return err_pass(r);
        for (size_t i = 0; i < keep->n_targets; i++)
                if (strcmp(keep->targets[i], target) == 0) {
                        free(target);
                        return 1;
                }
        r = model_append(keep->targets, keep->n_targets, target);
        if (r < 0) {
                free(target);
                return r;
        }
        return err_pass(run_keep_write(keep));
}

int verb_keep(const CliCall *call) {
        _cleanup_(inspection_done) Inspection inspection = {0};
        _cleanup_(trees_done) Trees trees = {0};
        int r;

        r = target_inspect(call, &trees, &inspection);
        if (r == CLI_OK)
                r = target_show(call, &trees, &inspection);
        if (r == CLI_OK)
                r = target_refused(&inspection, "not kept");
        if (r != CLI_OK)
                return r;
        r = trees_stop_order(&trees);
        if (r >= 0)
                r = keep_add(trees.items[0]);
        if (r < 0)
                return cli_fail(r);
        if (modules_prepare() > 0)
                fprintf(stderr, "carryover: some kernel modules could not be loaded; a save may fail\n");
        if (call->json == CLI_TEXT)
                printf("%s is %s.\n", trees.items[0]->target, r == 1 ? "kept already" : "kept");
        return CLI_OK;
}

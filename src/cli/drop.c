/* SPDX-License-Identifier: GPL-2.0-or-later */

/* The list is compared as text, so that what has ended meanwhile can be dropped too; a process that was kept
 * is named "pid:N@START" there, and "pid:N" means it. */

#include "base/cleanup.h"
#include "base/err.h"
#include "base/text.h"
#include "cli/target.h"
#include "store/store.h"

#include <stdio.h>
#include <string.h>

static bool matches(const char *kept, const char *wanted) {
        size_t l = strlen(wanted);

        if (strcmp(kept, wanted) == 0)
                return true;
        if (starts_with(wanted, "pid:"))
                return strncmp(kept, wanted, l) == 0 && kept[l] == '@';
        /* "unit:x" is "unit:x.service" */
        return starts_with(wanted, "unit:") && strncmp(kept, wanted, l) == 0 &&
               strcmp(kept + l, ".service") == 0;
}

/* wanted: NULL for all. */
static int drop(Keep *keep, void *userdata) {
        const char *wanted = userdata;
        size_t left = 0;
        bool dropped;

        for (size_t i = 0; i < keep->n_targets; i++)
                if (!wanted || matches(keep->targets[i], wanted))
                        free(keep->targets[i]);
                else
                        keep->targets[left++] = keep->targets[i];
        dropped = left < keep->n_targets;
        keep->n_targets = left;
        return dropped;
}

static int wanted_target(const CliCall *call, char **ret) {
        _cleanup_(trees_done) Trees trees = {0};
        int r;

        if (cli_arg(call, 0)) {
                r = select_check(cli_arg(call, 0));
                if (r < 0)
                        return err_pass(r);
                *ret = strdup(cli_arg(call, 0));
                return *ret ? 0 : -ENOMEM;
        }
        r = target_trees(call, &trees);
        return r < 0 ? r : select_stable(trees.items[0], ret);
}

ExitStatus verb_drop(const CliCall *call) {
        _cleanup_(freep) char *wanted = NULL;
        bool all = cli_option(call, "all");
        int r;

        if (all && call->n_args > 0) {
                (void)cli_fail(err_say(-EINVAL,
                                       "drop takes a TARGET or --all, not both: see carryover --help"));
                return EXIT_USAGE;
        }
        if (!all) {
                r = wanted_target(call, &wanted);
                if (r < 0)
                        return cli_fail_target(r);
        }
        r = run_keep_change(drop, wanted);
        if (r == 0) {
                (void)cli_fail(all ? err_say(-ENOENT, "nothing is kept")
                                   : err_say(-ENOENT, "%.200s is not kept: see carryover list", wanted));
                return EXIT_NOTHING;
        }
        return r < 0 ? cli_fail(r) : EXIT_OK;
}

/* SPDX-License-Identifier: GPL-2.0-or-later */

/*
 * What is kept is prepared now, while its user is there to change something: its units are ordered, so that
 * a shutdown which somebody else begins stops them only after the save, and the kernel's modules are loaded
 * before a package upgrade takes them away (the reboot is often there because of one).
 */

#include "flow/keep.h"

#include "base/cleanup.h"
#include "base/err.h"
#include "files/config.h"
#include "flow/flow.h"
#include "store/run.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static int gather(Config *ret_config, PreflightFacts *ret) {
        int r = config_load("", ret_config);

        return r < 0 ? err_pass(r) : facts_gather(ret_config, NULL, true, ret);
}

int keep_inspect(Candidates *trees) {
        _cleanup_(preflight_facts_done) PreflightFacts facts = {0};
        Config config;
        int r;

        r = gather(&config, &facts);
        if (r >= 0)
                r = inspect(&facts, trees);
        return r < 0 ? err_pass(r) : 0;
}

int keep_trees(const Candidates *trees, int *ret_modules) {
        _cleanup_(freep) char *name = NULL;
        int r;

        r = trees_stop_order(trees);
        if (r >= 0) /* all trees of a session or unit have the same target */
                r = select_stable(trees->items[0].tree, &name);
        if (r >= 0)
                r = run_keep_add(name);
        if (r < 0)
                return err_pass(r);
        *ret_modules = modules_prepare();
        return r;
}

int keep_name(const char *target, char **ret) {
        _cleanup_(candidates_done) Candidates own = {0};
        int r;

        if (target) {
                r = select_check(target);
                if (r < 0)
                        return err_pass(r);
                *ret = strdup(target);
                return *ret ? 0 : -ENOMEM;
        }
        r = trees_resolve(NULL, getpid(), &own);
        if (r >= 0)
                r = select_stable(own.items[0].tree, ret);
        return r < 0 ? err_pass(r) : 0;
}

int keep_drop(const char *name) {
        return run_keep_drop(name);
}

int keep_list(Candidates *ret) {
        Config config;
        int r;

        r = config_load("", &config);
        if (r >= 0)
                r = kept_trees(&config, NULL, ret);
        return r < 0 ? err_pass(r) : 0;
}

int keep_census(Candidates *ret_kept, Census *ret) {
        _cleanup_(preflight_facts_done) PreflightFacts facts = {0};
        _cleanup_(candidates_done) Candidates kept = {0};
        Config config;
        int r;

        r = gather(&config, &facts);
        if (r >= 0)
                r = kept_judged(&config, &facts, &kept);
        if (r >= 0)
                r = census_look(&config, &kept, &facts, ret);
        if (r < 0)
                return err_pass(r);
        *ret_kept = TAKE(kept);
        return 0;
}

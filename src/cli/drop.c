/* SPDX-License-Identifier: GPL-2.0-or-later */

#include "base/cleanup.h"
#include "base/err.h"
#include "cli/cli.h"
#include "flow/keep.h"

ExitStatus verb_drop(const CliCall *call) {
        _cleanup_(freep) char *name = NULL;
        bool all = cli_option(call, "all");
        int r;

        if (all && call->n_args > 0) {
                (void)cli_fail(err_say(-EINVAL,
                                       "drop takes a TARGET or --all, not both: see carryover --help"));
                return EXIT_USAGE;
        }
        if (!all) {
                r = keep_name(cli_arg(call, 0), &name);
                if (r < 0)
                        return cli_fail_target(r);
        }
        r = keep_drop(name);
        if (r == 1) {
                (void)cli_fail(all ? err_say(-ENOENT, "nothing is kept")
                                   : err_say(-ENOENT, "%.200s is not kept: see carryover list", name));
                return EXIT_NOTHING;
        }
        return r < 0 ? cli_fail(r) : EXIT_OK;
}

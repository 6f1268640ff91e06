/* SPDX-License-Identifier: GPL-2.0-or-later */

#include "base/cleanup.h"
#include "cli/target.h"

int verb_check(const CliCall *call) {
        _cleanup_(inspection_done) Inspection inspection = {0};
        _cleanup_(trees_done) Trees trees = {0};
        int r;

        r = target_inspect(call, &trees, &inspection);
        if (r == CLI_OK)
                r = target_show(call, &trees, &inspection);
        return r == CLI_OK ? target_refused(&inspection, "it cannot be carried as it is") : r;
}

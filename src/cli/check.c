/* SPDX-License-Identifier: GPL-2.0-or-later */

#include "base/cleanup.h"
#include "cli/target.h"

ExitStatus verb_check(const CliCall *call) {
        _cleanup_(inspection_done) Inspection inspection = {0};
        _cleanup_(trees_done) Trees trees = {0};
        ExitStatus status;

        status = target_inspect(call, &trees, &inspection);
        if (status == EXIT_OK)
                status = target_show(call, &trees, &inspection);
        return status == EXIT_OK ? target_refused(&inspection, "cannot be carried") : status;
}

/* SPDX-License-Identifier: GPL-2.0-or-later */

#include "base/cleanup.h"
#include "cli/target.h"

ExitStatus verb_check(const CliCall *call) {
        _cleanup_(candidates_done) Candidates trees = {0};
        ExitStatus status;

        status = target_inspect(call, &trees);
        if (status == EXIT_OK)
                status = target_show(call, &trees);
        return status == EXIT_OK ? target_refused(&trees, "cannot be carried") : status;
}

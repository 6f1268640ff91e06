/* SPDX-License-Identifier: GPL-2.0-or-later */

#include "cli/cli.h"
#include "flow/flow.h"

ExitStatus verb_cancel(const CliCall *call) {
        (void)call;
        return flow_cancel();
}

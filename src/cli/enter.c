/* SPDX-License-Identifier: GPL-2.0-or-later */

#include "cli/cli.h"
#include "flow/flow.h"

ExitStatus verb_enter(const CliCall *call) {
        return flow_enter(cli_arg(call, 0), call->args + 1);
}

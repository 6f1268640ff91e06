/* SPDX-License-Identifier: GPL-2.0-or-later */

#include "cli/cli.h"
#include "flow/flow.h"

ExitStatus verb_restore(const CliCall *call) {
        return flow_retry(cli_arg(call, 0), cli_option(call, "force"));
}

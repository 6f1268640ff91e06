/* SPDX-License-Identifier: GPL-2.0-or-later */

#include "cli/cli.h"
#include "flow/flow.h"

ExitStatus verb_reboot(const CliCall *call) {
        const RebootOptions options = {
                        .kernel = cli_option(call, "kernel"),
                        .append = cli_option(call, "append"),
                        .no_kexec = cli_option(call, "no-kexec"),
                        .force = cli_option(call, "force"),
                        .yes = cli_option(call, "yes"),
                        .no_ask = cli_option(call, "no-ask"),
                        .ignore_inhibitors = cli_option(call, "ignore-inhibitors"),
        };

        return flow_reboot(&options);
}

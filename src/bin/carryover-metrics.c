/* SPDX-License-Identifier: GPL-2.0-or-later */

#include "base/log.h"
#include "flow/metrics.h"

#include <unistd.h>

int main(int argc, char **argv) {
        (void)argv;
        if (argc == 1 && geteuid() == 0)
                return flow_metrics();
        log_error("carryover-metrics must be run as root by carryover-metrics.service");
        return EXIT_USAGE;
}

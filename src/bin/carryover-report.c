/* SPDX-License-Identifier: GPL-2.0-or-later */

#include "base/log.h"
#include "flow/flow.h"

#include <unistd.h>

int main(int argc, char **argv) {
        (void)argv;
        if (argc == 1 && geteuid() == 0)
                return flow_send();
        log_error("carryover-report must be run as root by carryover-report.service");
        return EXIT_USAGE;
}

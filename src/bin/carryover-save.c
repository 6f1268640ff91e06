/* SPDX-License-Identifier: GPL-2.0-or-later */

#include "base/log.h"
#include "base/secret.h"
#include "flow/flow.h"

#include <string.h>
#include <unistd.h>

int main(int argc, char **argv) {
        secrets_stay();
        if (argc == 2 && geteuid() == 0) {
                if (strcmp(argv[1], "--start") == 0)
                        return flow_start();
                if (strcmp(argv[1], "--stop") == 0)
                        return flow_save();
                if (strcmp(argv[1], "--stopped") == 0)
                        return flow_save_aftermath();
                if (strcmp(argv[1], "--release") == 0)
                        return flow_release();
        }
        log_error("carryover-save must be run as root by carryover.service, with --start, --stop or "
                  "--stopped, or by the removal of the package, with --release");
        return EXIT_USAGE;
}

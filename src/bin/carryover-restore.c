/* SPDX-License-Identifier: GPL-2.0-or-later */

#include "base/log.h"
#include "base/secret.h"
#include "flow/flow.h"

#include <string.h>
#include <unistd.h>

int main(int argc, char **argv) {
        secrets_stay();
        if (argc == 1 && geteuid() == 0)
                return flow_restore();
        if (argc == 2 && strcmp(argv[1], "--give-up") == 0 && geteuid() == 0)
                return flow_give_up();
        log_error("carryover-restore must be run as root by carryover-restore.service or, with --give-up, "
                  "by carryover-give-up.service");
        return EXIT_USAGE;
}

/* SPDX-License-Identifier: GPL-2.0-or-later */

#include "base/log.h"
#include "base/secret.h"
#include "flow/flow.h"

#include <unistd.h>

int main(int argc, char **argv) {
        (void)argv;
        secrets_stay();
        if (argc != 1 || geteuid() != 0) {
                log_error("carryover-restore is run as root by carryover-restore.service, without "
                          "arguments");
                return 2;
        }
        return flow_restore();
}

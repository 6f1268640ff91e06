/* SPDX-License-Identifier: GPL-2.0-or-later */

/*
 * carryover-note                 for apt: what the reboot that an upgrade asks for would carry
 * carryover-note --session PID   for needrestart: the same, told to the session of that process
 */

#include "base/log.h"
#include "base/text.h"
#include "flow/flow.h"

#include <string.h>
#include <unistd.h>

int main(int argc, char **argv) {
        pid_t session = 0;

        if (geteuid() == 0) {
                if (argc == 1)
                        return flow_note(0);
                if (argc == 3 && strcmp(argv[1], "--session") == 0 && parse_pid(argv[2], &session) >= 0)
                        return flow_note(session);
        }
        log_error("carryover-note must be run as root by the hooks of apt and needrestart, with no argument "
                  "or --session PID");
        return EXIT_USAGE;
}

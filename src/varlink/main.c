/* SPDX-License-Identifier: GPL-2.0-or-later */

#include "base/err.h"
#include "base/exit.h"
#include "base/fd.h"
#include "base/log.h"
#include "varlink/peer.h"
#include "varlink/server.h"

#include <unistd.h>

int main(int argc, char **argv) {
        PolkitSubject peer = {.pidfd = -1};
        int r;

        (void)argv;
        if (argc != 1 || geteuid() != 0) {
                log_error("carryover-varlink must be run as root by its sockets");
                return EXIT_USAGE;
        }
        r = peer_of(STDIN_FILENO, &peer);
        if (r >= 0)
                r = server_run(STDIN_FILENO, &peer);
        log_failed(r, "the connection is closed");
        closep(&peer.pidfd);
        return EXIT_OK;
}

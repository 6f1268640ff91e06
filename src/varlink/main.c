/* SPDX-License-Identifier: GPL-2.0-or-later */

#include "base/err.h"
#include "base/exit.h"
#include "base/log.h"
#include "varlink/server.h"

#include <errno.h>
#include <sys/socket.h>
#include <unistd.h>

int main(int argc, char **argv) {
        struct ucred peer;
        socklen_t size = sizeof peer;
        int r;

        (void)argv;
        if (argc != 1 || geteuid() != 0 ||
            getsockopt(STDIN_FILENO, SOL_SOCKET, SO_PEERCRED, &peer, &size) < 0 || peer.pid <= 0) {
                log_error("carryover-varlink must be run as root by carryover-varlink.socket");
                return EXIT_USAGE;
        }
        r = server_run(STDIN_FILENO, peer.uid, peer.pid);
        log_failed(r, "the connection is closed");
        return EXIT_OK;
}

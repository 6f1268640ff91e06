/* SPDX-License-Identifier: GPL-2.0-or-later */

/*
 * The uid counts that the peer had when it connected: it may have become a set-user-ID program since. What
 * the number means now is settled by the pidfd of the peer, where the kernel has that (6.5). Elsewhere a
 * process that took the number since shows by its age: the peer is older than the connection, and so than
 * this process. Whoever gets in between is of another user, which polkit compares, or of the same one, who
 * wins nothing.
 */

#include "varlink/peer.h"

#include "base/cleanup.h"
#include "base/err.h"
#include "base/fd.h"
#include "proc/procfs.h"

#include <errno.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#ifndef SO_PEERPIDFD
#define SO_PEERPIDFD 77 /* linux/socket.h of 6.5 */
#endif

static int ended(void) {
        return err_say(-ESRCH, "the peer has ended");
}

static int look_at(PolkitSubject *peer) {
        struct pollfd p = {.fd = peer->pidfd, .events = POLLIN};
        uint64_t own;
        int r = process_start_time(peer->pid, &peer->start);

        if (r >= 0)
                r = process_start_time(getpid(), &own);
        if (r < 0)
                return r == -ESRCH ? ended() : err_pass(r);
        if (peer->start > own || (peer->pidfd >= 0 && poll(&p, 1, 0) != 0))
                return ended();
        return 0;
}

/* Answer 1: this kernel has none. */
static int get_pidfd(int fd, int *ret) {
        socklen_t size = sizeof *ret;

        if (getsockopt(fd, SOL_SOCKET, SO_PEERPIDFD, ret, &size) >= 0)
                return 0;
        return errno == ENOPROTOOPT ? 1 : ended();
}

int peer_of(int fd, PolkitSubject *ret) {
        _cleanup_(closep) int pidfd = -1;
        PolkitSubject peer;
        struct ucred cred;
        socklen_t size = sizeof cred;
        int r;

        if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &cred, &size) < 0)
                return err_born(-errno, "cannot tell who the peer is");
        if (cred.pid <= 0)
                return err_say(-ESRCH, "the peer has no process number here");
        peer = (PolkitSubject){.uid = cred.uid, .pid = cred.pid, .pidfd = -1};
        r = cred.uid == 0 ? 0 : get_pidfd(fd, &pidfd);
        peer.pidfd = pidfd;
        if (r >= 0 && cred.uid != 0)
                r = look_at(&peer);
        if (r < 0)
                return err_pass(r);
        (void)TAKE_FD(pidfd);
        *ret = peer;
        return 0;
}

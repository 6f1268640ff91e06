/* SPDX-License-Identifier: GPL-2.0-or-later */

/*
 * A CRIU in the namespaces of a tree that has some of its own. CRIU opens the images as /proc/CLIENT/fd/N,
 * where CLIENT is whoever made the socket pair, and must see him there: so CRIU's process makes the pair
 * itself, before it executes, and sends our end out. It is our child all the same, by its number of the
 * host.
 *
 * A thread may choose the PID namespace of its children, but not its mount namespace, which it shares with
 * the others: that is the child's first step.
 */

#include "criu/inside.h"

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/err.h"
#include "base/fd.h"

#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define JOIN_TIMEOUT (10 * USEC_PER_SEC) /* a loaded machine: it has five system calls to make */

typedef union Rights {
        struct cmsghdr head;
        char room[CMSG_SPACE(sizeof(int))];
} Rights;

int inside_fork(int pidfd) {
        _cleanup_(closep) int own = open("/proc/thread-self/ns/pid", O_RDONLY | O_CLOEXEC);
        pid_t pid = -1;
        int saved;

        if (own < 0 || setns(pidfd, CLONE_NEWPID) < 0)
                return -1;
        pid = fork();
        if (pid == 0)
                return 0;
        saved = errno;
        if (setns(own, CLONE_NEWPID) < 0) /* nothing forbids it that has not forbidden the way in */
                abort();
        errno = saved;
        return pid;
}

int inside_join(int pidfd, int control, int number) {
        Rights rights = {.head = {.cmsg_len = CMSG_LEN(sizeof(int)),
                                  .cmsg_level = SOL_SOCKET,
                                  .cmsg_type = SCM_RIGHTS}};
        char byte = 0;
        struct iovec data = {.iov_base = &byte, .iov_len = 1};
        struct msghdr m = {.msg_iov = &data,
                           .msg_iovlen = 1,
                           .msg_control = &rights,
                           .msg_controllen = sizeof rights.room};
        int pair[2];

        if (setns(pidfd, CLONE_NEWNS) < 0 || socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0)
                return -errno;
        if (dup2(pair[1], number) < 0)
                return -errno;
        memcpy(CMSG_DATA(&rights.head), &pair[0], sizeof(int));
        return sendmsg(control, &m, MSG_NOSIGNAL) == 1 ? 0 : -errno;
}

int inside_socket(int control, int *ret) {
        Rights rights = {0};
        char byte;
        struct iovec data = {.iov_base = &byte, .iov_len = 1};
        struct msghdr m = {.msg_iov = &data,
                           .msg_iovlen = 1,
                           .msg_control = &rights,
                           .msg_controllen = sizeof rights.room};
        struct pollfd p = {.fd = control, .events = POLLIN};
        uint64_t deadline = now_monotonic() + JOIN_TIMEOUT;
        int n;

        while ((n = poll(&p, 1, deadline_ms(deadline))) < 0 && errno == EINTR)
                ;
        if (n == 0)
                return err_say(-ETIMEDOUT, "CRIU did not start in the namespaces of the tree in time");
        if (n < 0 || recvmsg(control, &m, MSG_CMSG_CLOEXEC) != 1 || m.msg_controllen < sizeof rights.head ||
            rights.head.cmsg_type != SCM_RIGHTS || rights.head.cmsg_len != CMSG_LEN(sizeof(int)))
                return err_say(-ECHILD, "CRIU cannot be started in the namespaces of the tree");
        memcpy(ret, CMSG_DATA(&rights.head), sizeof(int));
        return 0;
}

/* SPDX-License-Identifier: GPL-2.0-or-later */

/* Listening sockets of both families: same port, same options, and they accept. */

#include "pig.h"

#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/wait.h>

typedef union Address {
        struct sockaddr any;
        struct sockaddr_in v4;
        struct sockaddr_in6 v6;
} Address;

static socklen_t loopback(int family, Address *a) {
        *a = (Address){0};
        a->any.sa_family = (sa_family_t)family;
        if (family == AF_INET) {
                a->v4.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
                return sizeof a->v4;
        }
        a->v6.sin6_addr = in6addr_loopback;
        return sizeof a->v6;
}

static int listen_on(int family, Address *bound) {
        int fd = socket(family, SOCK_STREAM | SOCK_CLOEXEC, 0), on = 1;
        socklen_t size = loopback(family, bound);

        CHECK(fd >= 0);
        CHECK(setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) == 0);
        CHECK(bind(fd, &bound->any, size) == 0 && listen(fd, 17) == 0);
        CHECK(getsockname(fd, &bound->any, &size) == 0);
        return fd;
}

static _Noreturn void client(const Address *server) {
        int fd = socket(server->any.sa_family, SOCK_STREAM, 0);

        CHECK(connect(fd, &server->any, sizeof *server) == 0);
        pig_write(fd, "knock", 5);
        _exit(0);
}

static void check_listener(int fd, const Address *bound) {
        Address now;
        socklen_t size = sizeof now, length = sizeof(int);
        int value = 0, accepted, status;
        char data[5];
        pid_t pid;

        CHECK(getsockname(fd, &now.any, &size) == 0);
        CHECK(memcmp(&now, bound, size) == 0);
        CHECK(getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &value, &length) == 0 && value == 1);
        CHECK(getsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &value, &length) == 0 && value == 1);
        pid = fork();
        CHECK(pid >= 0);
        if (pid == 0)
                client(bound);
        accepted = accept(fd, NULL, NULL);
        CHECK(accepted >= 0);
        pig_read(accepted, data, 5);
        CHECK(memcmp(data, "knock", 5) == 0);
        CHECK(waitpid(pid, &status, 0) == pid && status == 0);
}

int main(void) {
        Address v4, v6;
        int fd4, fd6;

        pig_begin();
        fd4 = listen_on(AF_INET, &v4);
        fd6 = listen_on(AF_INET6, &v6);

        pig_wait();

        check_listener(fd4, &v4);
        check_listener(fd6, &v6);
        pig_pass();
}

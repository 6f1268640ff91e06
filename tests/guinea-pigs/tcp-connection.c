/* SPDX-License-Identifier: GPL-2.0-or-later */

/* A connection whose other end, an echo server, is outside of the tree (PIG_PORT on 127.0.0.1): unread
 * data, data both ways afterwards, options, addresses. */

#include "pig.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

#define UNREAD 30000

static void wait_for_unread(int fd) {
        static char peeked[UNREAD];

        CHECK(recv(fd, peeked, UNREAD, MSG_PEEK | MSG_WAITALL) == UNREAD);
}

int main(void) {
        struct sockaddr_in peer = {.sin_family = AF_INET}, before, after;
        socklen_t size = sizeof before, length = sizeof(int);
        const char *port = getenv("PIG_PORT");
        static char data[UNREAD];
        int fd, on = 1, value = 0;

        pig_begin();
        CHECK(port);
        peer.sin_port = htons((uint16_t)atoi(port));
        peer.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
        CHECK(fd >= 0 && connect(fd, (struct sockaddr *)&peer, sizeof peer) == 0);
        CHECK(setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on) == 0);
        CHECK(setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof on) == 0);
        CHECK(getsockname(fd, (struct sockaddr *)&before, &size) == 0);
        for (int i = 0; i < UNREAD; i++)
                data[i] = (char)(i % 251);
        pig_write(fd, data, UNREAD);
        wait_for_unread(fd);

        pig_wait();

        CHECK(getsockname(fd, (struct sockaddr *)&after, &size) == 0);
        CHECK(memcmp(&before, &after, sizeof before) == 0);
        CHECK(getsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &value, &length) == 0 && value != 0);
        CHECK(getsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &value, &length) == 0 && value != 0);
        CHECK(getsockopt(fd, IPPROTO_TCP, TCP_REPAIR, &value, &length) == 0 && value == 0);
        memset(data, 0, UNREAD);
        pig_read(fd, data, UNREAD);
        for (int i = 0; i < UNREAD; i++)
                CHECK(data[i] == (char)(i % 251));
        for (int round = 0; round < 100; round++) {
                pig_write(fd, "ping", 4);
                pig_read(fd, data, 4);
                CHECK(memcmp(data, "ping", 4) == 0);
        }
        CHECK(shutdown(fd, SHUT_WR) == 0 && read(fd, data, 1) == 0);
        pig_pass();
}

/* SPDX-License-Identifier: GPL-2.0-or-later */

#include "world.h"

#include "base/clock.h"
#include "base/fd.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>

#include <cmocka.h>

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <net/if.h>
#include <netinet/icmp6.h>
#include <netinet/ip.h>
#include <netinet/ip6.h>
#include <netinet/ip_icmp.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#define OUR_V4  "192.0.2.1"
#define PEER_V4 "192.0.2.2"
#define OUR_V6  "2001:db8::1"
#define PEER_V6 "2001:db8::2"

#define OUR_MOVED_V4 "192.0.2.3"
#define OUR_MOVED_V6 "2001:db8::3"

const char *flavour_text(Flavour flavour) {
        return (const char *const[]){"IPv4", "IPv6", "v4-mapped"}[flavour];
}

static int namespace_here(void) {
        int fd = open("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC);

        assert_true(fd >= 0);
        return fd;
}

void world_enter(int ns) {
        assert_int_equal(setns(ns, CLONE_NEWNET), 0);
}

void world_ip(const char *format, ...) {
        char words[256], command[300];
        va_list ap;

        va_start(ap, format);
        vsnprintf(words, sizeof words, format, ap);
        va_end(ap);
        snprintf(command, sizeof command, "PATH=$PATH:/usr/sbin:/sbin ip %s", words);
        if (system(command) != 0)
                fail_msg("failed: %s", command);
}

/* A process that keeps the peer's namespace and gives it a number for `ip link ... netns`. */
static pid_t keeper_start(void) {
        int ready[2];
        char byte;
        pid_t pid;

        assert_int_equal(pipe2(ready, O_CLOEXEC), 0);
        pid = fork();
        assert_true(pid >= 0);
        if (pid == 0) {
                prctl(PR_SET_PDEATHSIG, SIGKILL);
                if (unshare(CLONE_NEWNET) < 0 || write(ready[1], "", 1) != 1)
                        _exit(1);
                for (;;)
                        pause();
        }
        close(ready[1]);
        assert_int_equal(read(ready[0], &byte, 1), 1);
        close(ready[0]);
        return pid;
}

static int capture_open(const char *device) {
        struct sockaddr_ll where = {.sll_family = AF_PACKET, .sll_protocol = htons(ETH_P_ALL)};
        int room = 8 << 20, fd;

        fd = socket(AF_PACKET, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, htons(ETH_P_ALL));
        assert_true(fd >= 0);
        where.sll_ifindex = (int)if_nametoindex(device);
        assert_int_equal(bind(fd, (struct sockaddr *)&where, sizeof where), 0);
        setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &room, sizeof room);
        return fd;
}

int world_make(World *w) {
        char path[64];

        *w = (World){.home = -1, .ours = -1, .peer = -1, .capture = -1, .device = "wire0"};
        w->home = namespace_here();
        if (unshare(CLONE_NEWNET) < 0) {
                w->home = fd_close(w->home);
                return 1;
        }
        w->ours = namespace_here();
        w->keeper = keeper_start();
        snprintf(path, sizeof path, "/proc/%d/ns/net", w->keeper);
        w->peer = open(path, O_RDONLY | O_CLOEXEC);
        assert_true(w->peer >= 0);

        world_ip("link add wire0 type veth peer name wire1");
        world_ip("link set wire1 netns %d", w->keeper);
        world_ip("link set lo up");
        world_ip("addr add " OUR_V4 "/24 dev wire0");
        world_ip("addr add " OUR_V6 "/64 dev wire0 nodad");
        world_ip("link set wire0 up");
        world_enter(w->peer);
        world_ip("link set lo up");
        world_ip("addr add " PEER_V4 "/24 dev wire1");
        world_ip("addr add " PEER_V6 "/64 dev wire1 nodad");
        world_ip("link set wire1 up");
        w->capture = capture_open("wire1");
        world_enter(w->ours);
        return 0;
}

void world_end(World *w) {
        if (w->home < 0)
                return;
        world_enter(w->home);
        if (w->keeper > 0) {
                kill(w->keeper, SIGKILL);
                waitpid(w->keeper, NULL, 0);
        }
        w->capture = fd_close(w->capture);
        w->peer = fd_close(w->peer);
        w->ours = fd_close(w->ours);
        w->home = fd_close(w->home);
}

/* The connection as the socket's two names tell. */
void world_move(World *w) {
        world_enter(w->ours);
        world_ip("addr del " OUR_V4 "/24 dev wire0");
        world_ip("addr add " OUR_MOVED_V4 "/24 dev wire0");
        world_ip("addr del " OUR_V6 "/64 dev wire0");
        world_ip("addr add " OUR_MOVED_V6 "/64 dev wire0 nodad");
}

static Connection *connection_of(int fd) {
        Connection *c = model_new(Connection, connection__init);
        struct sockaddr_storage names[2] = {0};
        ProtobufCBinaryData *const addresses[] = {&c->local, &c->remote};
        uint32_t *const ports[] = {&c->local_port, &c->remote_port};

        assert_int_equal(getsockname(fd, (void *)&names[0], &(socklen_t){sizeof names[0]}), 0);
        assert_int_equal(getpeername(fd, (void *)&names[1], &(socklen_t){sizeof names[1]}), 0);
        for (int i = 0; i < 2; i++) {
                const struct sockaddr_in *v4 = (void *)&names[i];
                const struct sockaddr_in6 *v6 = (void *)&names[i];

                if (names[i].ss_family == AF_INET)
                        assert_int_equal(model_set_bytes(addresses[i], &v4->sin_addr, 4), 0);
                else
                        assert_int_equal(model_set_bytes(addresses[i], &v6->sin6_addr, 16), 0);
                *ports[i] = ntohs(v4->sin_port); /* at the same place in both */
        }
        return c;
}

static int listen_on(int family, uint16_t *ret_port) {
        struct sockaddr_in6 name = {.sin6_family = (sa_family_t)family};
        socklen_t size = family == AF_INET ? sizeof(struct sockaddr_in) : sizeof name;
        int fd = socket(family, SOCK_STREAM | SOCK_CLOEXEC, 0);

        assert_true(fd >= 0);
        assert_int_equal(bind(fd, (struct sockaddr *)&name, size), 0);
        assert_int_equal(listen(fd, 8), 0);
        assert_int_equal(getsockname(fd, (struct sockaddr *)&name, &size), 0);
        *ret_port = ntohs(name.sin6_port);
        return fd;
}

uint16_t port_free(int type) {
        struct sockaddr_in6 name = {.sin6_family = AF_INET6};
        socklen_t size = sizeof name;
        int fd = socket(AF_INET6, type | SOCK_CLOEXEC, 0);

        assert_true(fd >= 0);
        assert_int_equal(bind(fd, (struct sockaddr *)&name, size), 0);
        assert_int_equal(getsockname(fd, (struct sockaddr *)&name, &size), 0);
        close(fd);
        return ntohs(name.sin6_port);
}

int port_open(Flavour flavour, int type, uint16_t port) {
        sa_family_t family = flavour == FLAVOUR_V4 ? AF_INET : AF_INET6;
        struct sockaddr_in6 name = {.sin6_family = family, .sin6_port = htons(port)};
        int fd = socket(family, type | SOCK_CLOEXEC, 0);

        assert_true(fd >= 0);
        assert_int_equal(bind(fd, (struct sockaddr *)&name,
                              family == AF_INET ? sizeof(struct sockaddr_in) : sizeof name),
                         0);
        if (type == SOCK_STREAM)
                assert_int_equal(listen(fd, 8), 0);
        return fd;
}

const char *world_address(Flavour flavour) {
        return flavour == FLAVOUR_V6 ? OUR_V6 : OUR_V4;
}

int port_reach(World *w, Flavour flavour, int type, uint16_t port) {
        struct sockaddr_in6 v6 = {.sin6_family = AF_INET6, .sin6_port = htons(port)};
        struct sockaddr_in v4 = {.sin_family = AF_INET, .sin_port = htons(port)};
        bool is_v6 = flavour == FLAVOUR_V6;
        int fd;

        inet_pton(AF_INET, OUR_V4, &v4.sin_addr);
        inet_pton(AF_INET6, OUR_V6, &v6.sin6_addr);
        world_enter(w->peer);
        fd = socket(is_v6 ? AF_INET6 : AF_INET, type | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
        world_enter(w->ours);
        assert_true(fd >= 0);
        if (connect(fd, is_v6 ? (void *)&v6 : (void *)&v4, is_v6 ? sizeof v6 : sizeof v4) < 0)
                assert_int_equal(errno, EINPROGRESS);
        return fd;
}

static int connect_to(const char *address, uint16_t port) {
        struct sockaddr_in6 v6 = {.sin6_family = AF_INET6, .sin6_port = htons(port)};
        struct sockaddr_in v4 = {.sin_family = AF_INET, .sin_port = htons(port)};
        bool is_v4 = inet_pton(AF_INET, address, &v4.sin_addr) == 1;
        int fd, r;

        if (!is_v4)
                assert_int_equal(inet_pton(AF_INET6, address, &v6.sin6_addr), 1);
        fd = socket(is_v4 ? AF_INET : AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0);
        assert_true(fd >= 0);
        r = connect(fd, is_v4 ? (void *)&v4 : (void *)&v6, is_v4 ? sizeof v4 : sizeof v6);
        if (r < 0)
                fail_msg("connect to %s: %s", address, strerror(errno));
        return fd;
}

static void line_finish(Line *l) {
        const int one = 1;

        l->ours = accept4(l->listener, NULL, NULL, SOCK_CLOEXEC);
        assert_true(l->ours >= 0);
        setsockopt(l->ours, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
        setsockopt(l->peer, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
        l->connection = connection_of(l->ours);
}

uint16_t line_listen(Flavour flavour, Line *ret) {
        uint16_t port;

        *ret = (Line){.ours = -1, .peer = -1};
        ret->listener = listen_on(flavour == FLAVOUR_V4 ? AF_INET : AF_INET6, &port);
        return port;
}

void line_connect(World *w, Flavour flavour, uint16_t port, Line *l) {
        world_enter(w->peer);
        l->peer = connect_to(flavour == FLAVOUR_V6 ? OUR_V6 : OUR_V4, port);
        world_enter(w->ours);
        line_finish(l);
}

void line_open(World *w, Flavour flavour, Line *ret) {
        uint16_t port = line_listen(flavour, ret);

        line_connect(w, flavour, port, ret);
}

void line_open_out(World *w, Flavour flavour, Line *ret) {
        uint16_t port;

        *ret = (Line){.ours = -1, .peer = -1};
        world_enter(w->peer);
        ret->listener = listen_on(flavour == FLAVOUR_V6 ? AF_INET6 : AF_INET, &port);
        world_enter(w->ours);
        ret->ours = connect_to(flavour == FLAVOUR_V6 ? PEER_V6 : PEER_V4, port);
        ret->peer = accept4(ret->listener, NULL, NULL, SOCK_CLOEXEC);
        assert_true(ret->peer >= 0);
        ret->connection = connection_of(ret->ours);
}

void line_open_loopback(Line *ret) {
        uint16_t port;

        *ret = (Line){.ours = -1, .peer = -1};
        ret->listener = listen_on(AF_INET, &port);
        ret->peer = connect_to("127.0.0.1", port);
        line_finish(ret);
}

void line_close(Line *l) {
        l->ours = fd_close(l->ours);
        l->peer = fd_close(l->peer);
        l->listener = fd_close(l->listener);
        model_free(l->connection);
        l->connection = NULL;
}

void line_vanish(Line *l) {
        const int on = 1;

        assert_int_equal(setsockopt(l->ours, IPPROTO_TCP, TCP_REPAIR, &on, sizeof on), 0);
        l->ours = fd_close(l->ours);
        l->listener = fd_close(l->listener);
}

bool data_passes(int from, int to, int timeout_ms) {
        static uint8_t count;
        const uint8_t sent = ++count;
        uint64_t deadline = now_monotonic() + (uint64_t)timeout_ms * USEC_PER_MSEC;
        struct pollfd fd = {.fd = to, .events = POLLIN};
        uint8_t got;

        assert_int_equal(send(from, &sent, 1, MSG_NOSIGNAL), 1);
        /* What an earlier call sent in vain may arrive first. */
        while (poll(&fd, 1, deadline_ms(deadline)) > 0) {
                if (recv(to, &got, 1, MSG_DONTWAIT) != 1)
                        return false;
                if (got == sent)
                        return true;
        }
        return false;
}

static bool is_error(const uint8_t *packet, const struct sockaddr_ll *from) {
        if (from->sll_pkttype == PACKET_OUTGOING)
                return false;
        if (from->sll_protocol == htons(ETH_P_IP))
                return packet[9] == IPPROTO_ICMP && packet[packet[0] % 16 * 4] == ICMP_DEST_UNREACH;
        return from->sll_protocol == htons(ETH_P_IPV6) && packet[6] == IPPROTO_ICMPV6 &&
               packet[40] == ICMP6_DST_UNREACH;
}

Seen wire_seen(World *w) {
        struct sockaddr_ll from;
        uint8_t packet[256];
        Seen seen = {0};
        ssize_t n;

        for (;;) {
                const struct tcphdr *tcp;
                socklen_t size = sizeof from;

                n = recvfrom(w->capture, packet, sizeof packet, MSG_DONTWAIT, (struct sockaddr *)&from,
                             &size);
                if (n < 0)
                        return seen;
                seen.errors += is_error(packet, &from);
                if (from.sll_protocol == htons(ETH_P_IP) &&
                    ((struct iphdr *)packet)->protocol == IPPROTO_TCP)
                        tcp = (void *)(packet + ((struct iphdr *)packet)->ihl * 4);
                else if (from.sll_protocol == htons(ETH_P_IPV6) &&
                         ((struct ip6_hdr *)packet)->ip6_nxt == IPPROTO_TCP)
                        tcp = (void *)(packet + sizeof(struct ip6_hdr));
                else
                        continue;
                if (from.sll_pkttype == PACKET_OUTGOING)
                        seen.from_peer++;
                else {
                        seen.from_ours++;
                        seen.resets += tcp->rst;
                }
        }
}

bool wire_wait_peer(World *w, int timeout_ms, Seen *seen) {
        uint64_t deadline = now_monotonic() + (uint64_t)timeout_ms * USEC_PER_MSEC;
        struct pollfd fd = {.fd = w->capture, .events = POLLIN};

        while (poll(&fd, 1, deadline_ms(deadline)) > 0) {
                Seen more = wire_seen(w);

                seen->from_ours += more.from_ours;
                seen->from_peer += more.from_peer;
                seen->resets += more.resets;
                if (more.from_peer > 0)
                        return true;
        }
        return false;
}

static uint16_t checksum(const void *data, size_t size, uint32_t sum) {
        const uint8_t *bytes = data;

        for (size_t i = 0; i < size; i++)
                sum += (uint32_t)bytes[i] << (i % 2 ? 0 : 8);
        while (sum >> 16)
                sum = (sum & 0xffff) + (sum >> 16);
        return htons((uint16_t)~sum);
}

static void flood(const Connection *c) {
        struct sockaddr_in to = {.sin_family = AF_INET};
        struct {
                uint8_t source[4], destination[4];
                uint8_t zero, protocol;
                uint16_t length;
                struct tcphdr tcp;
        } packet = {.protocol = IPPROTO_TCP, .length = htons(sizeof packet.tcp)};
        int fd = socket(AF_INET, SOCK_RAW | SOCK_CLOEXEC, IPPROTO_TCP);

        memcpy(&to.sin_addr, c->local.data, 4);
        memcpy(packet.source, c->remote.data, 4);
        memcpy(packet.destination, c->local.data, 4);
        packet.tcp.source = htons((uint16_t)c->remote_port);
        packet.tcp.dest = htons((uint16_t)c->local_port);
        packet.tcp.ack = 1;
        packet.tcp.doff = 5;
        packet.tcp.check = checksum(&packet, sizeof packet, 0);
        for (;;) {
                (void)sendto(fd, &packet.tcp, sizeof packet.tcp, 0, (struct sockaddr *)&to, sizeof to);
                usleep(20);
        }
}

pid_t world_flood(World *w, const Connection *c) {
        pid_t pid;

        assert_int_equal(c->local.len, 4);
        world_enter(w->peer);
        pid = fork();
        assert_true(pid >= 0);
        if (pid == 0) {
                prctl(PR_SET_PDEATHSIG, SIGKILL);
                flood(c);
        }
        world_enter(w->ours);
        return pid;
}

void world_flood_end(pid_t pid) {
        kill(pid, SIGKILL);
        waitpid(pid, NULL, 0);
}

Connection **connections_invent(size_t n) {
        Connection **list = calloc(n ?: 1, sizeof *list);

        assert_non_null(list);
        for (size_t i = 0; i < n; i++) {
                uint8_t local[16] = {0x20, 0x01, 0x0d, 0xb8, [15] = 1};
                uint8_t remote[16] = {0x20, 0x01, 0x0d, 0xb8, [13] = (uint8_t)(i >> 16)};
                /* Every tenth is IPv6. */
                size_t length = i % 10 == 9 ? 16 : 4;

                remote[length - 2] = (uint8_t)(i >> 8);
                remote[length - 1] = (uint8_t)i;
                if (length == 4)
                        remote[0] = 10;
                list[i] = model_new(Connection, connection__init);
                assert_non_null(list[i]);
                assert_int_equal(model_set_bytes(&list[i]->local, local, length), 0);
                assert_int_equal(model_set_bytes(&list[i]->remote, remote, length), 0);
                list[i]->local_port = 22;
                list[i]->remote_port = (uint32_t)(32768 + i * 7 % 28232);
        }
        return list;
}

void connections_free(Connection **connections, size_t n) {
        for (size_t i = 0; i < n; i++)
                model_free(connections[i]);
        free(connections);
}

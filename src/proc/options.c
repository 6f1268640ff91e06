/* SPDX-License-Identifier: GPL-2.0-or-later */

/*
 * What a program has set on a socket and CRIU does not save. Each option is compared with that of a fresh
 * socket of our own, since most defaults are the administrator's; so one that was set to what it was anyway
 * is not told.
 */

#include "base/cleanup.h"
#include "base/fd.h"
#include "proc/internal.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <netinet/udp.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/socket.h>

#define TCP_AO_INFO_KEYS 40 /* TCP_AO_INFO of <linux/tcp.h> since 6.7 */
#define TCP_AO_INFO_SIZE 56 /* struct tcp_ao_info_opt; the kernel refuses a larger one */
#define VALUE_MAX        16 /* the longest: a name of TCP_CONGESTION */

static const struct {
        int family, protocol; /* 0: each family */
        SnapOption option;
        int level, name;
} known[] = {
                {0, IPPROTO_TCP, OPTION_USER_TIMEOUT, IPPROTO_TCP, TCP_USER_TIMEOUT},
                {0, IPPROTO_TCP, OPTION_CONGESTION, IPPROTO_TCP, TCP_CONGESTION},
                {0, IPPROTO_TCP, OPTION_DEFER_ACCEPT, IPPROTO_TCP, TCP_DEFER_ACCEPT},
                {0, IPPROTO_TCP, OPTION_NODELAY, IPPROTO_TCP, TCP_NODELAY},
                {0, IPPROTO_TCP, OPTION_CORK, IPPROTO_TCP, TCP_CORK},
                {0, IPPROTO_UDP, OPTION_SEGMENT, IPPROTO_UDP, UDP_SEGMENT},
                {0, IPPROTO_UDP, OPTION_GRO, IPPROTO_UDP, UDP_GRO},
                {AF_INET, IPPROTO_UDP, OPTION_MULTICAST_IF, IPPROTO_IP, IP_MULTICAST_IF},
                {AF_INET, IPPROTO_UDP, OPTION_MULTICAST_TTL, IPPROTO_IP, IP_MULTICAST_TTL},
                {AF_INET, IPPROTO_UDP, OPTION_MULTICAST_LOOP, IPPROTO_IP, IP_MULTICAST_LOOP},
                {AF_INET6, IPPROTO_UDP, OPTION_MULTICAST_IF, IPPROTO_IPV6, IPV6_MULTICAST_IF},
                {AF_INET6, IPPROTO_UDP, OPTION_MULTICAST_TTL, IPPROTO_IPV6, IPV6_MULTICAST_HOPS},
                {AF_INET6, IPPROTO_UDP, OPTION_MULTICAST_LOOP, IPPROTO_IPV6, IPV6_MULTICAST_LOOP},
};

static int number_of(int fd, int level, int name) {
        socklen_t size = sizeof(int);
        int value = 0;

        return getsockopt(fd, level, name, &value, &size) < 0 ? 0 : value;
}

static bool differs(int fd, int fresh, int level, int name) {
        uint8_t its[VALUE_MAX] = {0}, plain[VALUE_MAX] = {0};
        socklen_t its_size = sizeof its, size = sizeof plain;

        if (getsockopt(fd, level, name, its, &its_size) < 0 ||
            getsockopt(fresh, level, name, plain, &size) < 0)
                return false; /* this kernel does not know it */
        return its_size != size || memcmp(its, plain, sizeof its) != 0;
}

void procfs_options(int pidfd, SnapFd *f) {
        _cleanup_(closep) int fd = pidfd < 0 ? -1 : pidfd_getfd(pidfd, f->fd, 0), fresh = -1;
        uint8_t info[TCP_AO_INFO_SIZE] = {0};
        socklen_t size = sizeof info;
        int family, protocol;

        if (fd < 0)
                return;
        family = number_of(fd, SOL_SOCKET, SO_DOMAIN);
        protocol = number_of(fd, SOL_SOCKET, SO_PROTOCOL);
        if (protocol != IPPROTO_TCP && protocol != IPPROTO_UDP)
                return;
        f->is_signed = protocol == IPPROTO_TCP &&
                       getsockopt(fd, IPPROTO_TCP, TCP_AO_INFO_KEYS, info, &size) >= 0;
        f->is_corked = protocol == IPPROTO_UDP && number_of(fd, IPPROTO_UDP, UDP_CORK) != 0;
        fresh = socket(family, (protocol == IPPROTO_TCP ? SOCK_STREAM : SOCK_DGRAM) | SOCK_CLOEXEC, 0);
        for (size_t i = 0; fresh >= 0 && i < ELEMENTS(known); i++)
                if ((known[i].family == 0 || known[i].family == family) && known[i].protocol == protocol &&
                    differs(fd, fresh, known[i].level, known[i].name))
                        f->options |= known[i].option;
}

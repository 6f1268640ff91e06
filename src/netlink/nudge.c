/* SPDX-License-Identifier: GPL-2.0-or-later */

/*
 * All messages are made of the same bytes: an IP header and a bare TCP segment. From the peer to us, and
 * sent to ourselves, it asks for the acknowledgement; in an ICMP message it is what did not reach us. From
 * an address that we had to the peer it is the reset that nobody else can send.
 */

#include "netlink/nudge.h"

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/fd.h"
#include "netlink/address.h"
#include "netlink/talk.h"

#include <arpa/inet.h>
#include <netinet/icmp6.h>
#include <netinet/ip.h>
#include <netinet/ip6.h>
#include <netinet/ip_icmp.h>
#include <netinet/tcp.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

/* Each takes back one doubling; Linux gives up after 15 (net.ipv4.tcp_retries2). */
#define MESSAGES 16

/* Time for a peer to leave the lock of its socket. */
#define NUDGE_PAUSE_USEC (3 * USEC_PER_MSEC)

/* A reset is a single packet, nobody waits for it, and the network has only just come. */
#define DISMISS_PAUSE_USEC (60 * USEC_PER_MSEC)

/* So far before the next expected byte that no window reaches back to it, and near enough for connection
 * tracking (MAXACKWINDOW in nf_conntrack_proto_tcp.c). */
#define BEHIND 65536u

typedef struct Peer {
        IpAddress local, remote;
        const PeerStream *stream;
        bool is_moved; /* the local address is not this machine's */
} Peer;

typedef struct Segment {
        const IpAddress *from, *to;
        struct tcphdr tcp; /* without its checksum */
} Segment;

typedef struct Packet {
        uint8_t bytes[sizeof(struct icmp6_hdr) + sizeof(struct ip6_hdr) + sizeof(struct tcphdr)];
        size_t size;
} Packet;

static void put(Packet *p, const void *data, size_t size) {
        memcpy(p->bytes + p->size, data, size);
        p->size += size;
}

/* The Internet checksum. All data but the last has an even size. */
static uint32_t sum(const void *data, size_t size, uint32_t before) {
        const uint8_t *bytes = data;

        for (size_t i = 0; i < size; i++)
                before += (uint32_t)bytes[i] << (i % 2 ? 0 : 8);
        return before;
}

static uint16_t sum_end(uint32_t total) {
        while (total >> 16)
                total = (total & 0xffff) + (total >> 16);
        return htons((uint16_t)~total);
}

static void put_ip(Packet *p, const IpAddress *from, const IpAddress *to) {
        struct ip6_hdr v6 = {.ip6_flow = htonl(6u << 28),
                             .ip6_plen = htons(sizeof(struct tcphdr)),
                             .ip6_nxt = IPPROTO_TCP,
                             .ip6_hlim = IPDEFTTL};
        struct iphdr v4 = {.version = 4,
                           .ihl = sizeof v4 / 4,
                           .tot_len = htons(sizeof v4 + sizeof(struct tcphdr)),
                           .ttl = IPDEFTTL,
                           .protocol = IPPROTO_TCP};

        if (from->family == AF_INET6) {
                memcpy(&v6.ip6_src, from->bytes, sizeof v6.ip6_src);
                memcpy(&v6.ip6_dst, to->bytes, sizeof v6.ip6_dst);
                put(p, &v6, sizeof v6);
                return;
        }
        memcpy(&v4.saddr, from->bytes, sizeof v4.saddr);
        memcpy(&v4.daddr, to->bytes, sizeof v4.daddr);
        v4.check = sum_end(sum(&v4, sizeof v4, 0));
        put(p, &v4, sizeof v4);
}

/* Without data. */
static void put_segment(Packet *p, Segment s) {
        uint32_t total = IPPROTO_TCP + sizeof s.tcp;

        s.tcp.doff = sizeof s.tcp / 4;
        s.tcp.check = 0;
        total = sum(s.from->bytes, s.from->length, total);
        total = sum(s.to->bytes, s.to->length, total);
        s.tcp.check = sum_end(sum(&s.tcp, sizeof s.tcp, total));
        put_ip(p, s.from, s.to);
        put(p, &s.tcp, sizeof s.tcp);
}

/* One of the peer's. */
static void put_theirs(Packet *p, const Peer *peer, uint32_t seq) {
        put_segment(p, (Segment){.from = &peer->remote,
                                 .to = &peer->local,
                                 .tcp = {.source = htons(peer->stream->remote_port),
                                         .dest = htons(peer->stream->local_port),
                                         .seq = htonl(seq),
                                         .ack_seq = htonl(peer->stream->sent), /* the number of a reset */
                                         .ack = 1}});
}

static socklen_t name_of(const IpAddress *a, struct sockaddr_storage *ret) {
        struct sockaddr_in6 v6 = {.sin6_family = AF_INET6};
        struct sockaddr_in v4 = {.sin_family = AF_INET};

        if (a->family == AF_INET6) {
                memcpy(&v6.sin6_addr, a->bytes, sizeof v6.sin6_addr);
                memcpy(ret, &v6, sizeof v6);
                return sizeof v6;
        }
        memcpy(&v4.sin_addr, a->bytes, sizeof v4.sin_addr);
        memcpy(ret, &v4, sizeof v4);
        return sizeof v4;
}

static IpAddress address_of(const uint8_t bytes[static 16]) {
        IpAddress a = {0};

        (void)ip_from((ProtobufCBinaryData){.len = 16, .data = (uint8_t *)bytes}, &a);
        return a;
}

static Peer peer_of(const PeerStream *stream, const OwnAddress *own, size_t n) {
        Peer peer = {.local = address_of(stream->local),
                     .remote = address_of(stream->remote),
                     .stream = stream,
                     .is_moved = true};

        if (ip_is_loopback(&peer.local))
                peer.is_moved = false;
        for (size_t i = 0; peer.is_moved && i < n; i++)
                peer.is_moved = !ip_equal(&own[i].address, &peer.local);
        return peer;
}

/* What cannot be sent is not missed: the peer then repeats when it would have. */
static void send_raw(int protocol, const IpAddress *from, const IpAddress *to, const Packet *p) {
        _cleanup_(closep) int fd = socket(to->family, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, protocol);
        struct sockaddr_storage name;
        socklen_t size;

        if (fd < 0)
                return;
        size = name_of(from, &name);
        if (protocol != IPPROTO_RAW && bind(fd, (struct sockaddr *)&name, size) < 0)
                return;
        size = name_of(to, &name);
        (void)sendto(fd, p->bytes, p->size, MSG_NOSIGNAL, (struct sockaddr *)&name, size);
}

static void ask_acknowledgement(const Peer *peer) {
        Packet p = {0};

        put_theirs(&p, peer, peer->stream->received - BEHIND);
        send_raw(IPPROTO_RAW, &peer->remote, &peer->local, &p);
}

/* One of ours. */
static void send_ours(const Peer *peer, uint32_t seq, bool reset) {
        Packet p = {0};

        put_segment(&p, (Segment){.from = &peer->local,
                                  .to = &peer->remote,
                                  .tcp = {.source = htons(peer->stream->local_port),
                                          .dest = htons(peer->stream->remote_port),
                                          .seq = htonl(seq),
                                          .ack_seq = htonl(peer->stream->received),
                                          .ack = 1,
                                          .rst = reset}});
        send_raw(IPPROTO_RAW, &peer->local, &peer->remote, &p);
}

static void send_unreachable(const Peer *peer) {
        struct icmp6_hdr v6 = {.icmp6_type = ICMP6_DST_UNREACH, .icmp6_code = ICMP6_DST_UNREACH_NOROUTE};
        struct icmphdr v4 = {.type = ICMP_DEST_UNREACH, .code = ICMP_HOST_UNREACH};
        Packet quoted = {0}, p = {0};
        bool is_v6 = peer->local.family == AF_INET6;

        put_theirs(&quoted, peer, peer->stream->received);
        if (is_v6) {
                put(&p, &v6, sizeof v6); /* the kernel adds the checksum */
        } else {
                v4.checksum = sum_end(sum(quoted.bytes, quoted.size, sum(&v4, sizeof v4, 0)));
                put(&p, &v4, sizeof v4);
        }
        put(&p, quoted.bytes, quoted.size);
        send_raw(is_v6 ? IPPROTO_ICMPV6 : IPPROTO_ICMP, &peer->local, &peer->remote, &p);
}

/* A segment that was on its way at the freeze has arrived or has not: one of two numbers is the next that
 * the peer expects. */
static void ask(const Peer *peer) {
        if (!peer->is_moved) {
                ask_acknowledgement(peer);
                return;
        }
        send_ours(peer, peer->stream->sent, true);
        if (peer->stream->acked != peer->stream->sent)
                send_ours(peer, peer->stream->acked, true);
}

static void dismiss(const Peer *peer) {
        ask(peer);
        if (!peer->is_moved)
                send_ours(peer, peer->stream->acked - BEHIND, false);
}

static void say_unreachable(const Peer *peer) {
        if (!peer->is_moved)
                send_unreachable(peer);
}

static void all_peers(const Peer *peers, size_t n, void (*what)(const Peer *peer)) {
        for (size_t i = 0; what && i < n; i++)
                what(peers + i);
}

static void in_rounds(const PeerStream *streams, size_t n, void (*first)(const Peer *peer),
                      uint64_t pause_usec, void (*then)(const Peer *peer)) {
        const struct timespec pause = {.tv_nsec = (long)(pause_usec * NSEC_PER_USEC)};
        _cleanup_(freep) Peer *peers = calloc(n ?: 1, sizeof *peers);
        _cleanup_(freep) OwnAddress *own = NULL;
        size_t n_own = 0;

        if (!peers || address_own_list(&own, &n_own) < 0)
                return;
        for (size_t i = 0; i < n; i++)
                peers[i] = peer_of(streams + i, own, n_own);
        for (int k = 0; n > 0 && k < MESSAGES; k++) {
                all_peers(peers, n, first);
                (void)nanosleep(&pause, NULL);
                all_peers(peers, n, then);
        }
}

void nudge_peers(const PeerStream *streams, size_t n) {
        in_rounds(streams, n, ask, NUDGE_PAUSE_USEC, say_unreachable);
}

void nudge_dismiss(const PeerStream *streams, size_t n) {
        in_rounds(streams, n, dismiss, DISMISS_PAUSE_USEC, NULL);
}

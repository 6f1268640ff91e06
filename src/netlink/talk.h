/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/* Inside this room: what is asked of the kernel by rtnetlink. */

#include "model/model.h"
#include "netlink/ip.h"

#include <linux/rtnetlink.h>
#include <net/if.h>
#include <netlink/msg.h>
#include <stdbool.h>
#include <stdint.h>

#define ROUTE_PROTOCOL 0xC1 /* ours, as in RTA protocol numbers; nobody in iproute2's rt_protos has it */

static inline void nl_msgp(struct nl_msg **p) {
        if (*p)
                nlmsg_free(*p);
}

bool netlink_ip(uint8_t family, const struct nlattr *attr, IpAddress *ret);

/*
 * Sends one request and waits for its answer; `each` (may be NULL) sees every message of it and stops the
 * walk by returning negative. Returns 0 or the kernel's errno, without a record: the caller knows what it
 * was for.
 */
typedef int (*TalkEach)(struct nlmsghdr *h, void *userdata);
int netlink_talk(struct nl_msg *m, TalkEach each, void *userdata);

/* A request that begins with this header. The caller frees it; NULL: out of memory. */
struct nl_msg *netlink_request(int type, int flags, const void *header, size_t size);

typedef struct Link {
        int index;
        uint32_t mtu;
        char name[IFNAMSIZ];
} Link;

/* By index (name NULL) or name; -ENODEV. */
int netlink_link(int index, const char *name, Link *ret);

/* Whether an interface has a carrier: of hardware, or of anything but the loopback where there is none. */
int netlink_links_carry(bool *ret);

typedef struct Path {
        uint8_t type; /* RTN_* */
        uint32_t table;
        int index;
        bool has_gateway, has_source;
        IpAddress gateway, source;
        uint32_t mtu; /* of the route, 0 if it has none */
} Path;

/* What the kernel would do with a packet to `to`, from `from` (may be NULL). */
int netlink_path(const IpAddress *to, const IpAddress *from, Path *ret);

/* A host route of ours. mtu 0: none. path gives device, gateway, table. */
int netlink_route_put(const IpAddress *to, const Path *path, uint32_t metric, uint32_t mtu);
/* Fine if it is not there. */
int netlink_route_drop(const IpAddress *to, uint32_t table, uint32_t metric);

/* Every host route of ours. */
typedef struct OwnRoute {
        IpAddress to;
        uint32_t table, metric;
} OwnRoute;

int netlink_own_routes(OwnRoute **ret, size_t *ret_n);

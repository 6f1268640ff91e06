/* SPDX-License-Identifier: GPL-2.0-or-later */

/*
 * rtnetlink, one request per socket: no state, no cache that could be stale, and threads cannot read each
 * other's answers. Messages are built and taken apart with libnl-3 alone; its route objects (libnl-route)
 * are five times as large, and this code is in the initramfs, too.
 */

#include "netlink/talk.h"

#include "base/cleanup.h"
#include "base/err.h"

#include <errno.h>
#include <netinet/in.h>
#include <netlink/attr.h>
#include <netlink/netlink.h>
#include <string.h>

#define LOWER_UP 0x10000u /* IFF_LOWER_UP, which net/if.h does not have and linux/if.h cannot be beside */

bool netlink_ip(uint8_t family, const struct nlattr *attr, IpAddress *ret) {
        IpAddress a = {.family = family, .length = family == AF_INET ? 4 : 16};

        if (!attr || nla_len(attr) != a.length)
                return false;
        memcpy(a.bytes, nla_data(attr), a.length);
        *ret = a;
        return true;
}

typedef struct Talk {
        TalkEach each;
        void *userdata;
        int r;
        bool done;
} Talk;

static int on_message(struct nl_msg *m, void *data) {
        Talk *t = data;

        if (t->each && t->r >= 0)
                t->r = t->each(nlmsg_hdr(m), t->userdata);
        return NL_OK;
}

static int on_end(struct nl_msg *m, void *data) {
        Talk *t = data;

        t->done = true;
        return NL_STOP;
}

static int on_error(struct sockaddr_nl *who, struct nlmsgerr *e, void *data) {
        Talk *t = data;

        if (t->r >= 0)
                t->r = e->error < 0 ? e->error : -EIO;
        t->done = true;
        return NL_STOP;
}

static void nl_sockp(struct nl_sock **p) {
        nl_socket_free(*p);
}

static void nl_cbp(struct nl_cb **p) {
        nl_cb_put(*p);
}

int netlink_talk(struct nl_msg *m, TalkEach each, void *userdata) {
        _cleanup_(nl_sockp) struct nl_sock *sk = nl_socket_alloc();
        _cleanup_(nl_cbp) struct nl_cb *cb = nl_cb_alloc(NL_CB_DEFAULT);
        Talk t = {.each = each, .userdata = userdata};

        if (!sk || !cb)
                return -ENOMEM;
        if (nl_connect(sk, NETLINK_ROUTE) < 0)
                return -errno ?: -EIO;
        nl_cb_set(cb, NL_CB_VALID, NL_CB_CUSTOM, on_message, &t);
        nl_cb_set(cb, NL_CB_FINISH, NL_CB_CUSTOM, on_end, &t);
        nl_cb_set(cb, NL_CB_ACK, NL_CB_CUSTOM, on_end, &t);
        nl_cb_err(cb, NL_CB_CUSTOM, on_error, &t);
        if (nl_send_auto(sk, m) < 0)
                return -EIO;
        while (!t.done)
                if (nl_recvmsgs(sk, cb) < 0 && !t.done)
                        return -EIO;
        return t.r;
}

struct nl_msg *netlink_request(int type, int flags, const void *header, size_t size) {
        struct nl_msg *m = nlmsg_alloc_simple(type, flags);

        if (m && nlmsg_append(m, (void *)header, size, NLMSG_ALIGNTO) < 0) {
                nlmsg_free(m);
                m = NULL;
        }
        return m;
}

static int on_link(struct nlmsghdr *h, void *userdata) {
        struct nlattr *tb[IFLA_MAX + 1];
        struct ifinfomsg *i = nlmsg_data(h);
        Link *link = userdata, l = {0};

        if (h->nlmsg_type != RTM_NEWLINK || nlmsg_parse(h, sizeof *i, tb, IFLA_MAX, NULL) < 0)
                return 0;
        l.index = i->ifi_index;
        if (tb[IFLA_MTU])
                l.mtu = nla_get_u32(tb[IFLA_MTU]);
        if (tb[IFLA_IFNAME])
                nla_strlcpy(l.name, tb[IFLA_IFNAME], sizeof l.name);
        *link = l;
        return 0;
}

int netlink_link(int index, const char *name, Link *ret) {
        struct ifinfomsg i = {.ifi_family = AF_UNSPEC, .ifi_index = name ? 0 : index};
        _cleanup_(nl_msgp) struct nl_msg *m = netlink_request(RTM_GETLINK, NLM_F_REQUEST, &i, sizeof i);
        Link l = {0};
        int r;

        if (!m || (name && nla_put_string(m, IFLA_IFNAME, name) < 0))
                return -ENOMEM;
        r = netlink_talk(m, on_link, &l);
        if (r < 0)
                return r;
        if (l.index == 0)
                return -ENODEV;
        *ret = l;
        return 0;
}

typedef struct Carriers {
        bool hardware; /* there is some */
        bool on_hardware, on_other;
} Carriers;

/* The kernel names the kind of whatever is made by software. */
static int on_carrier(struct nlmsghdr *h, void *userdata) {
        struct nlattr *tb[IFLA_MAX + 1], *info[IFLA_INFO_MAX + 1] = {0};
        struct ifinfomsg *i = nlmsg_data(h);
        Carriers *c = userdata;
        bool carries, made;

        if (h->nlmsg_type != RTM_NEWLINK || nlmsg_parse(h, sizeof *i, tb, IFLA_MAX, NULL) < 0 ||
            i->ifi_flags & IFF_LOOPBACK)
                return 0;
        made = tb[IFLA_LINKINFO] && nla_parse_nested(info, IFLA_INFO_MAX, tb[IFLA_LINKINFO], NULL) >= 0 &&
               info[IFLA_INFO_KIND];
        carries = i->ifi_flags & IFF_UP && i->ifi_flags & LOWER_UP;
        c->hardware |= !made;
        c->on_hardware |= !made && carries;
        c->on_other |= made && carries;
        return 0;
}

int netlink_links_carry(bool *ret) {
        struct ifinfomsg i = {.ifi_family = AF_UNSPEC};
        _cleanup_(nl_msgp) struct nl_msg *m =
                        netlink_request(RTM_GETLINK, NLM_F_REQUEST | NLM_F_DUMP, &i, sizeof i);
        Carriers c = {0};
        int r;

        if (!m)
                return -ENOMEM;
        r = netlink_talk(m, on_carrier, &c);
        if (r < 0)
                return r;
        *ret = c.hardware ? c.on_hardware : c.on_other;
        return 0;
}

static int on_path(struct nlmsghdr *h, void *userdata) {
        struct nlattr *tb[RTA_MAX + 1], *metrics[RTAX_MAX + 1];
        struct rtmsg *m = nlmsg_data(h);
        Path *path = userdata, p = {0};

        if (h->nlmsg_type != RTM_NEWROUTE || nlmsg_parse(h, sizeof *m, tb, RTA_MAX, NULL) < 0)
                return 0;
        p.type = m->rtm_type;
        p.table = tb[RTA_TABLE] ? nla_get_u32(tb[RTA_TABLE]) : m->rtm_table;
        p.index = tb[RTA_OIF] ? (int)nla_get_u32(tb[RTA_OIF]) : 0;
        p.has_gateway = netlink_ip(m->rtm_family, tb[RTA_GATEWAY], &p.gateway);
        p.has_source = netlink_ip(m->rtm_family, tb[RTA_PREFSRC], &p.source);
        /* An IPv4 route by an IPv6 gateway. */
        if (tb[RTA_VIA] && nla_len(tb[RTA_VIA]) == 2 + 16) {
                p.gateway = (IpAddress){.family = AF_INET6, .length = 16};
                memcpy(p.gateway.bytes, (uint8_t *)nla_data(tb[RTA_VIA]) + 2, 16);
                p.has_gateway = true;
        }
        if (tb[RTA_METRICS] && nla_parse_nested(metrics, RTAX_MAX, tb[RTA_METRICS], NULL) >= 0 &&
            metrics[RTAX_MTU])
                p.mtu = nla_get_u32(metrics[RTAX_MTU]);
        *path = p;
        return 0;
}

int netlink_path(const IpAddress *to, const IpAddress *from, Path *ret) {
        struct rtmsg rt = {.rtm_family = to->family,
                           .rtm_dst_len = (unsigned char)(to->length * 8),
                           .rtm_flags = RTM_F_LOOKUP_TABLE};
        _cleanup_(nl_msgp) struct nl_msg *m = NULL;
        bool has_from = from && from->family == to->family;
        Path p = {0};
        int r;

        if (has_from)
                rt.rtm_src_len = (unsigned char)(from->length * 8);
        m = netlink_request(RTM_GETROUTE, NLM_F_REQUEST, &rt, sizeof rt);
        if (!m || nla_put(m, RTA_DST, to->length, to->bytes) < 0 ||
            (has_from && nla_put(m, RTA_SRC, from->length, from->bytes) < 0))
                return -ENOMEM;
        r = netlink_talk(m, on_path, &p);
        if (r < 0)
                return r;
        if (p.type != RTN_UNICAST && p.type != RTN_LOCAL)
                return -EHOSTUNREACH;
        *ret = p;
        return 0;
}

static int put_gateway(struct nl_msg *m, uint8_t family, const IpAddress *gateway) {
        struct {
                uint16_t family;
                uint8_t bytes[16];
        } via = {.family = gateway->family};

        if (gateway->family == family)
                return nla_put(m, RTA_GATEWAY, gateway->length, gateway->bytes);
        memcpy(via.bytes, gateway->bytes, sizeof via.bytes);
        return nla_put(m, RTA_VIA, sizeof via, &via);
}

static int put_mtu(struct nl_msg *m, uint32_t mtu) {
        struct nlattr *nest = nla_nest_start(m, RTA_METRICS);

        if (!nest || nla_put_u32(m, RTAX_MTU, mtu) < 0)
                return -ENOMEM;
        return nla_nest_end(m, nest);
}

int netlink_route_put(const IpAddress *to, const Path *path, uint32_t metric, uint32_t mtu) {
        struct rtmsg rt = {.rtm_family = to->family,
                           .rtm_dst_len = (unsigned char)(to->length * 8),
                           .rtm_table = path->table < 256 ? (unsigned char)path->table : RT_TABLE_UNSPEC,
                           .rtm_protocol = ROUTE_PROTOCOL,
                           .rtm_type = RTN_UNICAST,
                           .rtm_scope = path->has_gateway || to->family == AF_INET6 ? RT_SCOPE_UNIVERSE
                                                                                    : RT_SCOPE_LINK,
                           .rtm_flags = path->has_gateway ? RTNH_F_ONLINK : 0};
        _cleanup_(nl_msgp) struct nl_msg *m = netlink_request(
                        RTM_NEWROUTE, NLM_F_REQUEST | NLM_F_CREATE | NLM_F_REPLACE, &rt, sizeof rt);

        if (!m || nla_put(m, RTA_DST, to->length, to->bytes) < 0 ||
            nla_put_u32(m, RTA_OIF, (uint32_t)path->index) < 0 ||
            nla_put_u32(m, RTA_TABLE, path->table) < 0 || nla_put_u32(m, RTA_PRIORITY, metric) < 0 ||
            (path->has_gateway && put_gateway(m, to->family, &path->gateway) < 0) ||
            (path->has_source && nla_put(m, RTA_PREFSRC, path->source.length, path->source.bytes) < 0) ||
            (mtu && put_mtu(m, mtu) < 0))
                return -ENOMEM;
        return netlink_talk(m, NULL, NULL);
}

int netlink_route_drop(const IpAddress *to, uint32_t table, uint32_t metric) {
        struct rtmsg rt = {.rtm_family = to->family,
                           .rtm_dst_len = (unsigned char)(to->length * 8),
                           .rtm_table = table < 256 ? (unsigned char)table : RT_TABLE_UNSPEC,
                           .rtm_protocol = ROUTE_PROTOCOL,
                           .rtm_scope = RT_SCOPE_NOWHERE};
        _cleanup_(nl_msgp) struct nl_msg *m = netlink_request(RTM_DELROUTE, NLM_F_REQUEST, &rt, sizeof rt);
        int r;

        if (!m || nla_put(m, RTA_DST, to->length, to->bytes) < 0 || nla_put_u32(m, RTA_TABLE, table) < 0 ||
            nla_put_u32(m, RTA_PRIORITY, metric) < 0)
                return -ENOMEM;
        r = netlink_talk(m, NULL, NULL);
        return r == -ESRCH || r == -ENOENT ? 0 : r;
}

typedef struct OwnList {
        OwnRoute *all;
        size_t n;
} OwnList;

static int on_own(struct nlmsghdr *h, void *userdata) {
        struct nlattr *tb[RTA_MAX + 1];
        struct rtmsg *m = nlmsg_data(h);
        OwnList *list = userdata;
        OwnRoute own = {0};

        if (h->nlmsg_type != RTM_NEWROUTE || m->rtm_protocol != ROUTE_PROTOCOL ||
            (m->rtm_flags & RTM_F_CLONED) || nlmsg_parse(h, sizeof *m, tb, RTA_MAX, NULL) < 0)
                return 0;
        if ((m->rtm_family != AF_INET && m->rtm_family != AF_INET6) ||
            !netlink_ip(m->rtm_family, tb[RTA_DST], &own.to) || m->rtm_dst_len != own.to.length * 8)
                return 0;
        own.table = tb[RTA_TABLE] ? nla_get_u32(tb[RTA_TABLE]) : m->rtm_table;
        own.metric = tb[RTA_PRIORITY] ? nla_get_u32(tb[RTA_PRIORITY]) : 0;
        return model_append(list->all, list->n, own);
}

int netlink_own_routes(OwnRoute **ret, size_t *ret_n) {
        struct rtmsg rt = {.rtm_family = AF_UNSPEC};
        _cleanup_(nl_msgp) struct nl_msg *m =
                        netlink_request(RTM_GETROUTE, NLM_F_REQUEST | NLM_F_DUMP, &rt, sizeof rt);
        OwnList list = {0};
        int r;

        if (!m)
                return -ENOMEM;
        r = netlink_talk(m, on_own, &list);
        if (r < 0) {
                free(list.all);
                return r;
        }
        *ret = list.all;
        *ret_n = list.n;
        return 0;
}

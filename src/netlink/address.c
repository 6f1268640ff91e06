/* SPDX-License-Identifier: GPL-2.0-or-later */

#include "netlink/address.h"

#include "base/cleanup.h"
#include "base/err.h"
#include "netlink/talk.h"

#include <errno.h>
#include <netlink/attr.h>

typedef struct OwnAddresses {
        OwnAddress *all;
        size_t n;
} OwnAddresses;

static int on_address(struct nlmsghdr *h, void *userdata) {
        struct nlattr *tb[IFA_MAX + 1];
        struct ifaddrmsg *a = nlmsg_data(h);
        OwnAddresses *list = userdata;
        OwnAddress own = {0};

        if (h->nlmsg_type != RTM_NEWADDR || nlmsg_parse(h, sizeof *a, tb, IFA_MAX, NULL) < 0)
                return 0;
        if (a->ifa_family != AF_INET && a->ifa_family != AF_INET6)
                return 0;
        /* On a point-to-point link IFA_ADDRESS is the other side's. */
        if (!netlink_ip(a->ifa_family, tb[IFA_LOCAL] ?: tb[IFA_ADDRESS], &own.address))
                return 0;
        own.index = (int)a->ifa_index;
        own.flags = tb[IFA_FLAGS] ? nla_get_u32(tb[IFA_FLAGS]) : a->ifa_flags;
        return model_append(list->all, list->n, own);
}

int address_own_list(OwnAddress **ret, size_t *ret_n) {
        struct ifaddrmsg a = {.ifa_family = AF_UNSPEC};
        _cleanup_(nl_msgp) struct nl_msg *m =
                        netlink_request(RTM_GETADDR, NLM_F_REQUEST | NLM_F_DUMP, &a, sizeof a);
        OwnAddresses list = {0};
        int r;

        if (!m)
                return -ENOMEM;
        r = netlink_talk(m, on_address, &list);
        if (r < 0) {
                free(list.all);
                return err_born(r, "cannot list the addresses of this machine");
        }
        *ret = list.all;
        *ret_n = list.n;
        return 0;
}

const OwnAddress *address_own_find(const OwnAddress *own, size_t n, const IpAddress *a) {
        for (size_t i = 0; i < n; i++)
                if (ip_equal(&own[i].address, a))
                        return &own[i];
        return NULL;
}

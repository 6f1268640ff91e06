/* SPDX-License-Identifier: GPL-2.0-or-later */

/*
 * Where the held connections stood, and when they can stand there again.
 *
 * Waiting is: subscribe first, look second, then look again after every event. What the kernel is asked is
 * the very question that matters ("is this address usable, is there a route from it to that peer"), so
 * nobody has to understand why an event came, and lost events (ENOBUFS) cost nothing but one look more.
 *
 * network_apply() shortens that wait, and its danger is whoever configures the network afterwards: ifupdown
 * fails on an address that is there already, NetworkManager adopts an interface that has one and then runs
 * no DHCP on it. So an IPv4 address goes to the loopback device: the kernel answers ARP for it on every link
 * all the same, and the interface is empty when its manager comes. IPv6 answers only for addresses of the
 * link itself; there it is put as it was. Both end by themselves after LEASE seconds, as an address that the
 * network has given to somebody else in the meantime must: a manager that adopts it sets a lifetime of its
 * own. systemd-networkd removes the route when it takes the link over, and has its own half a second later
 * (4 seconds after ours, with DHCP on an emulated machine); the address stays. TCP waits that out.
 */

#include "sys/netlink.h"

#include "sys/netlink-talk.h"

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/err.h"
#include "base/fd.h"
#include "base/text.h"

#include <netinet/in.h>
#include <netlink/attr.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define LEASE 3600u

/* Above any metric that a network manager uses: its own routes win as soon as they are there. */
#define APPLY_METRIC 0x40000000u

static bool is_link_local(const IpAddress *a) {
        return a->family == AF_INET6 && a->bytes[0] == 0xfe && (a->bytes[1] & 0xc0) == 0x80;
}

static const Held *held_find(const Held *held, size_t n, const IpAddress *a) {
        for (size_t i = 0; i < n; i++)
                if (ip_equal(&held[i].address, a))
                        return &held[i];
        return NULL;
}

/* ---- what there is now ---- */

/* "virtio_net"; NULL if the device is not hardware or its driver is built in. */
static char *driver_of(const char *device) {
        _cleanup_(freep) char *link = text_format("/sys/class/net/%s/device/driver/module", device);
        char target[512];
        ssize_t k = link ? readlink(link, target, sizeof target - 1) : -1;
        char *slash;

        if (k <= 0)
                return NULL;
        target[k] = '\0';
        slash = strrchr(target, '/');
        return slash && name_is_safe(slash + 1) ? strdup(slash + 1) : NULL;
}

static int record_address(Ticket *ticket, const Held *held) {
        Address *a = NULL;
        Link link;
        int r;

        for (size_t i = 0; i < ticket->n_addresses; i++) {
                IpAddress known;

                if (ip_from(ticket->addresses[i]->address, &known) && ip_equal(&known, &held->address))
                        return 0;
        }
        r = link_get(held->index, NULL, &link);
        if (r < 0)
                return err_born(r, "cannot tell the interface of an address");
        a = model_new(Address, address__init);
        if (!a)
                return -ENOMEM;
        a->prefix = held->prefix;
        r = model_set_bytes(&a->address, held->address.bytes, held->address.length);
        if (r >= 0)
                r = model_set_string(&a->device, link.name);
        if (r >= 0 && link.mac_size > 0) {
                r = model_set_bytes(&a->hardware, link.mac, link.mac_size);
                a->has_hardware = true;
        }
        a->driver = driver_of(link.name);
        if (r >= 0)
                r = model_append(ticket->addresses, ticket->n_addresses, a);
        if (r < 0)
                model_free(a);
        return r;
}

static int record_route(Ticket *ticket, const IpAddress *to, const IpAddress *from) {
        Route *route = NULL;
        Path path;
        Link link;
        int r;

        for (size_t i = 0; i < ticket->n_routes; i++) {
                IpAddress known;

                if (ip_from(ticket->routes[i]->remote, &known) && ip_equal(&known, to))
                        return 0;
        }
        r = path_get(to, from, &path);
        if (r < 0 || path.type != RTN_UNICAST || link_get(path.index, NULL, &link) < 0)
                return r == -ENOMEM ? r : 0; /* it is away now, too: nothing to record */
        route = model_new(Route, route__init);
        if (!route)
                return -ENOMEM;
        r = model_set_bytes(&route->remote, to->bytes, to->length);
        if (r >= 0)
                r = model_set_string(&route->device, link.name);
        if (r >= 0 && path.has_gateway) {
                r = model_set_bytes(&route->gateway, path.gateway.bytes, path.gateway.length);
                route->has_gateway = true;
        }
        route->mtu = path.mtu;
        route->has_mtu = path.mtu != 0;
        if (r >= 0)
                r = model_append(ticket->routes, ticket->n_routes, route);
        if (r < 0)
                model_free(route);
        return r;
}

int network_record(Connection *const *connections, size_t n, Ticket *ticket) {
        _cleanup_(freep) Held *held = NULL;
        size_t n_held;
        int r;

        r = held_list(&held, &n_held);
        if (r < 0)
                return err_born(r, "cannot list the addresses of this machine");
        for (size_t i = 0; i < n; i++) {
                IpAddress local, remote;
                const Held *h;

                if (!ip_from(connections[i]->local, &local) || !ip_from(connections[i]->remote, &remote))
                        return err_say(-EINVAL, "a connection has an address of an unknown kind");
                if (ip_is_loopback(&local) || ip_is_loopback(&remote))
                        continue;
                h = held_find(held, n_held, &local);
                r = h ? record_address(ticket, h) : 0;
                if (r >= 0)
                        r = record_route(ticket, &remote, &local);
                if (r < 0)
                        return err_pass(r);
        }
        return 0;
}

/* ---- waiting ---- */

/* 0: there; 1: not yet, the sentence for -ETIMEDOUT is recorded; negative: an error. */
typedef int (*Look)(void *userdata);

static int event_socket(void) {
        static const int groups[] = {RTNLGRP_LINK, RTNLGRP_IPV4_IFADDR, RTNLGRP_IPV6_IFADDR,
                                     RTNLGRP_IPV4_ROUTE, RTNLGRP_IPV6_ROUTE};
        struct sockaddr_nl any = {.nl_family = AF_NETLINK};
        _cleanup_(closep) int fd =
                        socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, NETLINK_ROUTE);

        /* A socket without a port of its own is passed over when the kernel tells of its own changes. */
        if (fd < 0 || bind(fd, (struct sockaddr *)&any, sizeof any) < 0)
                return err_born(-errno, "cannot listen to the network's changes");
        for (size_t i = 0; i < ELEMENTS(groups); i++)
                if (setsockopt(fd, SOL_NETLINK, NETLINK_ADD_MEMBERSHIP, &groups[i], sizeof groups[i]) < 0)
                        return err_born(-errno, "cannot listen to the network's changes");
        return TAKE_FD(fd);
}

/* What the events say does not matter, and ENOBUFS is one of them. */
static int drain(int fd) {
        char buffer[8192];

        for (;;) {
                ssize_t k = recv(fd, buffer, sizeof buffer, MSG_DONTWAIT);

                if (k < 0 && (errno == EAGAIN || errno == EWOULDBLOCK))
                        return 0;
                if (k < 0 && errno != EINTR && errno != ENOBUFS)
                        return err_born(-errno, "cannot listen to the network's changes");
        }
}

static int wait_for(Look look, void *userdata, uint64_t deadline, int stop_fd) {
        _cleanup_(closep) int fd = event_socket();
        int r;

        if (fd < 0)
                return fd;
        for (;;) {
                struct pollfd p[2] = {{.fd = fd, .events = POLLIN}, {.fd = stop_fd, .events = POLLIN}};

                r = look(userdata);
                if (r <= 0)
                        return r;
                r = poll(p, 2, deadline_ms(deadline));
                if (r < 0 && errno != EINTR)
                        return err_born(-errno, "cannot wait for the network");
                if (r == 0)
                        return -ETIMEDOUT;
                if (r > 0 && p[1].revents)
                        return err_say(-ECANCELED, "told to stop waiting for the network");
                if (r > 0) {
                        r = drain(fd);
                        if (r < 0)
                                return r;
                }
        }
}

static int look_address(const Held *held, size_t n, ProtobufCBinaryData wanted) {
        const Held *h;
        char text[46];
        IpAddress a;

        if (!ip_from(wanted, &a))
                return err_say(-EBADMSG, "the ticket has an address of an unknown kind");
        if (ip_is_loopback(&a))
                return 0;
        h = held_find(held, n, &a);
        if (h && h->flags & IFA_F_DADFAILED) {
                (void)err_say(-ETIMEDOUT, "another machine has our address %s", ip_text(&a, text));
                return 1;
        }
        if (!h || (h->flags & (IFA_F_TENTATIVE | IFA_F_OPTIMISTIC)) == IFA_F_TENTATIVE) {
                (void)err_say(-ETIMEDOUT, "the address %s did not come%s", ip_text(&a, text),
                              h ? " out of duplicate address detection" : " back");
                return 1;
        }
        return 0;
}

static int look_route(const Connection *c) {
        IpAddress to, from;
        char text[46];
        Path path;
        int r;

        if (!ip_from(c->remote, &to) || !ip_from(c->local, &from))
                return err_say(-EBADMSG, "the ticket has an address of an unknown kind");
        /* A link-local peer has no meaning without its interface, which a connection does not name. */
        if (ip_is_loopback(&to) || is_link_local(&to))
                return 0;
        r = path_get(&to, &from, &path);
        if (r == -ENOMEM)
                return r;
        if (r < 0) {
                (void)err_say(-ETIMEDOUT, "there is no route to %s", ip_text(&to, text));
                return 1;
        }
        return 0;
}

static int look_tree(void *userdata) {
        _cleanup_(freep) Held *held = NULL;
        const Tree *tree = userdata;
        size_t n;
        int r;

        r = held_list(&held, &n);
        if (r < 0)
                return err_born(r, "cannot list the addresses of this machine");
        for (size_t i = 0; i < tree->n_connections; i++) {
                r = look_address(held, n, tree->connections[i]->local);
                if (r != 0)
                        return r;
        }
        for (size_t i = 0; i < tree->n_listens; i++) {
                r = look_address(held, n, tree->listens[i]);
                if (r != 0)
                        return r;
        }
        for (size_t i = 0; i < tree->n_connections; i++) {
                r = look_route(tree->connections[i]);
                if (r != 0)
                        return r;
        }
        return 0;
}

int network_wait(const Tree *tree, uint64_t deadline_monotonic, int stop_fd) {
        return wait_for(look_tree, (void *)tree, deadline_monotonic, stop_fd);
}

/* ---- applying ---- */

static int link_up(const Link *link) {
        struct ifinfomsg i = {.ifi_index = link->index, .ifi_flags = IFF_UP, .ifi_change = IFF_UP};
        _cleanup_(nl_msgp) struct nl_msg *m = NULL;

        if (link->flags & IFF_UP)
                return 0;
        m = nlmsg_alloc_simple(RTM_NEWLINK, NLM_F_REQUEST);
        if (!m || nlmsg_append(m, &i, sizeof i, NLMSG_ALIGNTO) < 0)
                return -ENOMEM;
        return talk(m, NULL, NULL);
}

static int address_message(int type, int flags, const IpAddress *a, const Link *link, unsigned prefix) {
        struct ifaddrmsg ifa = {.ifa_family = a->family,
                                .ifa_prefixlen = (uint8_t)prefix,
                                .ifa_scope = RT_SCOPE_UNIVERSE,
                                .ifa_index = (unsigned)link->index};
        struct ifa_cacheinfo lease = {.ifa_prefered = LEASE, .ifa_valid = LEASE};
        _cleanup_(nl_msgp) struct nl_msg *m = nlmsg_alloc_simple(type, NLM_F_REQUEST | flags);

        if (!m || nlmsg_append(m, &ifa, sizeof ifa, NLMSG_ALIGNTO) < 0 ||
            nla_put(m, IFA_LOCAL, a->length, a->bytes) < 0 ||
            nla_put(m, IFA_ADDRESS, a->length, a->bytes) < 0)
                return -ENOMEM;
        if (type == RTM_NEWADDR && (nla_put(m, IFA_CACHEINFO, sizeof lease, &lease) < 0 ||
                                    (a->family == AF_INET6 && nla_put_u32(m, IFA_FLAGS, IFA_F_NODAD) < 0)))
                return -ENOMEM;
        return talk(m, NULL, NULL);
}

/* The link of an address, if it is there under the same name with the same hardware address: until then udev
 * may still rename it, which a link that is up would prevent. */
static bool link_is_back(const Address *a, Link *ret) {
        return link_get(0, a->device, ret) >= 0 &&
               (!a->has_hardware || (a->hardware.len == ret->mac_size &&
                                     memcmp(a->hardware.data, ret->mac, ret->mac_size) == 0));
}

static int apply_address(const Address *a, const Held *held, size_t n) {
        IpAddress ip;
        Link link, lo;
        char text[46];
        int r;

        if (!ip_from(a->address, &ip) || a->prefix > ip.length * 8u)
                return err_say(-EBADMSG, "the ticket has an address of an unknown kind");
        if (held_find(held, n, &ip))
                return 0;
        if (!link_is_back(a, &link)) {
                (void)err_say(-ETIMEDOUT, "the interface %s of %s did not appear", a->device,
                              ip_text(&ip, text));
                return 1;
        }
        r = link_up(&link);
        if (r >= 0 && ip.family == AF_INET) {
                r = link_get(0, "lo", &lo);
                if (r >= 0)
                        r = link_up(&lo);
                if (r >= 0)
                        r = address_message(RTM_NEWADDR, NLM_F_CREATE | NLM_F_EXCL, &ip, &lo, 32);
        } else if (r >= 0)
                r = address_message(RTM_NEWADDR, NLM_F_CREATE | NLM_F_EXCL, &ip, &link, a->prefix);
        if (r < 0 && r != -EEXIST)
                return err_born(r, "cannot put the address %s back", ip_text(&ip, text));
        return 0;
}

/* Only by a link whose address we know to be the saved one. */
static int apply_route(const Ticket *ticket, const Route *route) {
        const Address *home = NULL;
        Path path = {.table = RT_TABLE_MAIN}, there;
        IpAddress to;
        char text[46];
        Link link;
        int r;

        if (!ip_from(route->remote, &to))
                return err_say(-EBADMSG, "the ticket has an address of an unknown kind");
        for (size_t i = 0; i < ticket->n_addresses && !home; i++)
                if (strcmp(ticket->addresses[i]->device, route->device) == 0)
                        home = ticket->addresses[i];
        if (!home || path_get(&to, NULL, &there) >= 0)
                return 0;
        if (!link_is_back(home, &link)) {
                (void)err_say(-ETIMEDOUT, "the interface %s to %s did not appear", route->device,
                              ip_text(&to, text));
                return 1;
        }
        path.index = link.index;
        if (route->has_gateway)
                path.has_gateway = ip_from(route->gateway, &path.gateway);
        r = route_put(&to, &path, APPLY_METRIC, route->has_mtu ? route->mtu : 0);
        if (r < 0)
                return err_born(r, "cannot put the route to %s back", ip_text(&to, text));
        return 0;
}

static int look_apply(void *userdata) {
        _cleanup_(freep) Held *held = NULL;
        const Ticket *ticket = userdata;
        int r, missing = 0;
        size_t n;

        r = held_list(&held, &n);
        if (r < 0)
                return err_born(r, "cannot list the addresses of this machine");
        for (size_t i = 0; i < ticket->n_addresses; i++) {
                r = apply_address(ticket->addresses[i], held, n);
                if (r < 0)
                        return r;
                missing += r;
        }
        for (size_t i = 0; i < ticket->n_routes; i++) {
                r = apply_route(ticket, ticket->routes[i]);
                if (r < 0)
                        return r;
                missing += r;
        }
        return missing > 0;
}

int network_apply(const Ticket *ticket, uint64_t deadline_monotonic, int stop_fd) {
        return wait_for(look_apply, (void *)ticket, deadline_monotonic, stop_fd);
}

static bool held_elsewhere(const Held *held, size_t n, const IpAddress *a, int index) {
        for (size_t i = 0; i < n; i++)
                if (ip_equal(&held[i].address, a) && held[i].index != index)
                        return true;
        return false;
}

/* The IPv4 ones; an IPv6 address sits where its manager would put it, and is his now or ends. */
static int end_addresses(const Ticket *ticket) {
        _cleanup_(freep) Held *held = NULL;
        int r, left = 0;
        size_t n;
        Link lo;

        r = held_list(&held, &n);
        if (r >= 0)
                r = link_get(0, "lo", &lo);
        if (r < 0)
                return err_born(r, "cannot list the addresses of this machine");
        for (size_t i = 0; i < ticket->n_addresses; i++) {
                IpAddress ip;

                if (!ip_from(ticket->addresses[i]->address, &ip) || ip.family != AF_INET ||
                    strcmp(ticket->addresses[i]->device, "lo") == 0)
                        continue;
                for (size_t k = 0; k < n; k++) {
                        if (held[k].index != lo.index || held[k].prefix != 32 ||
                            (held[k].flags & IFA_F_PERMANENT) || !ip_equal(&held[k].address, &ip))
                                continue;
                        if (!held_elsewhere(held, n, &ip, lo.index)) {
                                left++;
                                continue;
                        }
                        r = address_message(RTM_DELADDR, 0, &ip, &lo, 32);
                        if (r < 0 && r != -EADDRNOTAVAIL)
                                return err_born(r, "cannot take an address from the loopback device");
                }
        }
        return left;
}

/* Takes ours away and looks whether the peer is reached all the same: the hold or the peer's patience covers
 * the moment in which it is not. */
static int end_routes(void) {
        _cleanup_(freep) OwnRoute *own = NULL;
        int r, left = 0;
        size_t n;

        r = own_routes(&own, &n);
        if (r < 0)
                return err_born(r, "cannot list the routes");
        for (size_t i = 0; i < n; i++) {
                Path ours, other;

                if (own[i].metric != APPLY_METRIC || path_get(&own[i].to, NULL, &ours) < 0)
                        continue;
                r = route_drop(&own[i].to, own[i].table, own[i].metric);
                if (r < 0)
                        return err_born(r, "cannot remove a route");
                if (path_get(&own[i].to, NULL, &other) >= 0)
                        continue;
                ours.table = own[i].table;
                r = route_put(&own[i].to, &ours, APPLY_METRIC, ours.mtu);
                if (r < 0)
                        return err_born(r, "cannot put a route back");
                left++;
        }
        return left;
}

int network_apply_end(const Ticket *ticket) {
        int a, b;

        a = end_addresses(ticket);
        if (a < 0)
                return err_pass(a);
        b = end_routes();
        return b < 0 ? err_pass(b) : a + b;
}

/* SPDX-License-Identifier: GPL-2.0-or-later */

/*
 * Where the held connections stood, and when they can stand there again.
 *
 * Waiting is: subscribe first, look second, then look again after every event. What the kernel is asked is
 * the very question that matters ("is this address usable, is there a route from it to that peer"), so
 * nobody has to understand why an event came, and lost events (ENOBUFS) cost nothing but one look more.
 */

#include "netlink/network.h"

#include "netlink/address.h"
#include "netlink/talk.h"

#include "base/await.h"
#include "base/cleanup.h"
#include "base/clock.h"
#include "base/err.h"
#include "base/fd.h"
#include "base/text.h"

#include <dirent.h>
#include <netinet/in.h>
#include <netlink/attr.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

/* A bridge over a VLAN over a bond over a team's port is four. */
#define LAYERS_MAX 8u

static bool is_link_local(const IpAddress *a) {
        return a->family == AF_INET6 && a->bytes[0] == 0xfe && (a->bytes[1] & 0xc0) == 0x80;
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

static int note_driver(Ticket *ticket, char *driver) {
        int r;

        for (size_t i = 0; i < ticket->n_drivers; i++)
                if (strcmp(ticket->drivers[i], driver) == 0) {
                        free(driver);
                        return 0;
                }
        r = model_append(ticket->drivers, ticket->n_drivers, driver);
        if (r < 0)
                free(driver);
        return r;
}

/* A bridge, a VLAN or a bond is no hardware: what counts is below it. */
static int note_device(Ticket *ticket, const char *device, unsigned depth) {
        _cleanup_(freep) char *path = text_format("/sys/class/net/%s", device);
        _cleanup_(closedirp) DIR *below = NULL;
        char *driver = driver_of(device);
        struct dirent *entry;
        int r = 0;

        if (driver)
                return note_driver(ticket, driver);
        if (path && depth < LAYERS_MAX)
                below = opendir(path);
        while (r >= 0 && below && (entry = readdir(below)))
                if (starts_with(entry->d_name, "lower_"))
                        r = note_device(ticket, entry->d_name + strlen("lower_"), depth + 1);
        return r;
}

static int note_own(Ticket *ticket, const OwnAddress *own) {
        Link link;
        int r;

        r = netlink_link(own->index, NULL, &link);
        if (r < 0)
                return err_born(r, "cannot determine the interface of an address");
        return note_device(ticket, link.name, 0);
}

static int note_local(Ticket *ticket, const OwnAddress *own, size_t n, ProtobufCBinaryData address) {
        const OwnAddress *h;
        IpAddress local;

        if (!ip_from(address, &local))
                return err_say(-EINVAL, "a connection has an address of an unknown type");
        h = ip_is_loopback(&local) ? NULL : address_own_find(own, n, &local);
        return h ? note_own(ticket, h) : 0;
}

int network_drivers(const HoldSet *set, Ticket *ticket) {
        _cleanup_(freep) OwnAddress *own = NULL;
        size_t n_own;
        int r;

        r = address_own_list(&own, &n_own);
        if (r < 0)
                return err_pass(r);
        for (size_t i = 0; r >= 0 && i < set->n_connections; i++)
                r = note_local(ticket, own, n_own, set->connections[i]->local);
        for (size_t i = 0; r >= 0 && i < set->n_ports; i++)
                r = note_local(ticket, own, n_own, set->ports[i]->local);
        return r < 0 ? err_pass(r) : 0;
}

static void forget_foreign(const OwnAddress *own, size_t n_own, ProtobufCBinaryData *addresses, size_t *n) {
        size_t kept = 0;

        for (size_t i = 0; i < *n; i++) {
                IpAddress a;

                if (ip_from(addresses[i], &a) && (ip_is_loopback(&a) || address_own_find(own, n_own, &a)))
                        addresses[kept++] = addresses[i];
                else
                        free(addresses[i].data);
        }
        *n = kept;
}

int network_forget_foreign(Tree *tree) {
        _cleanup_(freep) OwnAddress *own = NULL;
        size_t n_own;
        int r;

        r = address_own_list(&own, &n_own);
        if (r < 0)
                return err_pass(r);
        forget_foreign(own, n_own, tree->listens, &tree->n_listens);
        forget_foreign(own, n_own, tree->binds, &tree->n_binds);
        return 0;
}

/* ---- waiting ---- */

static int event_socket(void) {
        static const int groups[] = {RTNLGRP_LINK, RTNLGRP_IPV4_IFADDR, RTNLGRP_IPV6_IFADDR,
                                     RTNLGRP_IPV4_ROUTE, RTNLGRP_IPV6_ROUTE};
        struct sockaddr_nl any = {.nl_family = AF_NETLINK};
        _cleanup_(closep) int fd =
                        socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, NETLINK_ROUTE);

        /* A socket without a port of its own is passed over when the kernel tells of its own changes. */
        if (fd < 0 || bind(fd, (struct sockaddr *)&any, sizeof any) < 0)
                return err_born(-errno, "cannot watch the network for changes");
        for (size_t i = 0; i < ELEMENTS(groups); i++)
                if (setsockopt(fd, SOL_NETLINK, NETLINK_ADD_MEMBERSHIP, &groups[i], sizeof groups[i]) < 0)
                        return err_born(-errno, "cannot watch the network for changes");
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
                        return err_born(-errno, "cannot watch the network for changes");
        }
}

static int look_address(const OwnAddress *own, size_t n, ProtobufCBinaryData wanted) {
        const OwnAddress *h;
        char text[46];
        IpAddress a;

        if (!ip_from(wanted, &a))
                return err_say(-EBADMSG, "the ticket contains an address of an unknown type");
        if (ip_is_loopback(&a))
                return 0;
        h = address_own_find(own, n, &a);
        if (h && h->flags & IFA_F_DADFAILED) {
                (void)err_say(-ETIMEDOUT, "another machine uses address %s", ip_text(&a, text));
                return 1;
        }
        if (!h || (h->flags & (IFA_F_TENTATIVE | IFA_F_OPTIMISTIC)) == IFA_F_TENTATIVE) {
                (void)err_say(-ETIMEDOUT, "address %s is %s", ip_text(&a, text),
                              h ? "still in duplicate address detection" : "missing");
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
                return err_say(-EBADMSG, "the ticket contains an address of an unknown type");
        /* A link-local peer has no meaning without its interface, which a connection does not name. */
        if (ip_is_loopback(&to) || is_link_local(&to))
                return 0;
        r = netlink_path(&to, &from, &path);
        if (r == -ENOMEM)
                return r;
        if (r < 0) {
                (void)err_say(-ETIMEDOUT, "no route to %s", ip_text(&to, text));
                return 1;
        }
        return 0;
}

static int look_tree(const Tree *tree) {
        _cleanup_(freep) OwnAddress *own = NULL;
        size_t n;
        int r;

        r = address_own_list(&own, &n);
        if (r < 0)
                return err_pass(r);
        for (size_t i = 0; r == 0 && i < tree->n_connections; i++)
                r = look_address(own, n, tree->connections[i]->local);
        for (size_t i = 0; r == 0 && i < tree->n_datagrams; i++)
                r = look_address(own, n, tree->datagrams[i]->local);
        for (size_t i = 0; r == 0 && i < tree->n_listens; i++)
                r = look_address(own, n, tree->listens[i]);
        for (size_t i = 0; r == 0 && i < tree->n_binds; i++)
                r = look_address(own, n, tree->binds[i]);
        for (size_t i = 0; r == 0 && i < tree->n_connections; i++)
                r = look_route(tree->connections[i]);
        for (size_t i = 0; r == 0 && i < tree->n_datagrams; i++)
                r = look_route(tree->datagrams[i]);
        return r;
}

typedef struct Look {
        const Tree *tree;
        uint64_t patience; /* 0: none but the deadline's */
} Look;

/* While nothing could be told to anybody, and nobody could be asked for an address, no time passes. */
static int be_patient(uint64_t patience, uint64_t *deadline) {
        bool carry = false;
        int r = netlink_links_carry(&carry);

        if (r < 0)
                return err_born(r, "cannot list the interfaces of this machine");
        if (!carry) {
                *deadline = UINT64_MAX;
                (void)err_say(-ETIMEDOUT, "no network interface has a carrier");
        } else if (*deadline == UINT64_MAX)
                *deadline = now_monotonic() + patience;
        return 1;
}

static int look_network(void *userdata, uint64_t *deadline) {
        const Look *look = userdata;
        int r = look_tree(look->tree);

        return r == 1 && look->patience > 0 ? be_patient(look->patience, deadline) : r;
}

static int wait_for_tree(const Tree *tree, uint64_t patience, uint64_t deadline, int stop_fd) {
        _cleanup_(closep) int fd = event_socket();
        Look look = {tree, patience};

        if (fd < 0)
                return err_pass(fd);
        return await_change(&(Await){
                        .look = look_network,
                        .userdata = &look,
                        .event_fd = fd,
                        .events = POLLIN,
                        .drain = drain,
                        .stop_fd = stop_fd,
                        .deadline_monotonic = deadline,
                        .what = "the network",
        });
}

int network_wait(const Tree *tree, uint64_t deadline_monotonic, int stop_fd) {
        return wait_for_tree(tree, 0, deadline_monotonic, stop_fd);
}

int network_wait_patiently(const Tree *tree, uint64_t usec, int stop_fd) {
        return wait_for_tree(tree, usec, UINT64_MAX, stop_fd);
}

int network_missing(const Tree *tree) {
        uint64_t deadline = UINT64_MAX;

        return look_network(&(Look){tree, 1}, &deadline);
}

/* SPDX-License-Identifier: GPL-2.0-or-later */

/*
 * The cure for segments of 524 bytes. A socket that connects in repair mode takes its segment size before it
 * knows the path, and the kernel computes it anew only when the path MTU differs from the one that the
 * socket remembers. So it is restored over a host route with another MTU; when that route goes, the next
 * packet finds the real one.
 *
 * The MTU of the detour only has to differ: nothing but what carries CRIU's mark leaves while the hold
 * stands. It is the path's own less 100: smaller, so that no packet ever is too large for the path; not by
 * less, so that the segment size differs after rounding for options; not by more, so that a detour that is
 * forgotten costs 7 %. IPv6 promises 1280, and the kernel takes no less; below it IPv4 still is free, down
 * to 576 that every host must take.
 *
 * Trees that share a peer must not pull each other's routes away, and may be restored by different
 * processes. Each has a route of its own: the metric is its root PID, which no other tree of the ticket has.
 * Which of them the kernel uses is all the same.
 */

#include "netlink/network.h"

#include "netlink/talk.h"

#include "base/cleanup.h"
#include "base/err.h"
#include "base/text.h"

#define DETOUR       100u
#define MTU_MIN_IPV6 1280u
#define MTU_MIN_IPV4 576u

static int peer_path(const Connection *c, IpAddress *ret_to, Path *ret) {
        IpAddress from;
        int r;

        if (!ip_from(c->remote, ret_to) || !ip_from(c->local, &from) || ip_is_loopback(ret_to))
                return -EHOSTUNREACH;
        r = netlink_path(ret_to, &from, ret);
        if (r >= 0 && (ret->type != RTN_UNICAST || ret->index == 0))
                return -EHOSTUNREACH;
        return r;
}

/* 0 if the path cannot have a smaller one. A route that is one detour below its link is taken for the detour
 * of another tree, or each of twenty trees with one peer would dig deeper than the last. */
static uint32_t detour_mtu(const IpAddress *to, const Path *path) {
        uint32_t floor = to->family == AF_INET6 ? MTU_MIN_IPV6 : MTU_MIN_IPV4, mtu;
        Link link;

        if (netlink_link(path->index, NULL, &link) < 0)
                return 0;
        mtu = path->mtu && path->mtu + DETOUR < link.mtu ? path->mtu : link.mtu;
        if (mtu <= floor)
                return 0;
        return mtu - floor > DETOUR ? mtu - DETOUR : floor;
}

int network_mtu_begin(const Tree *tree) {
        if (tree->root_pid > PID_MAX)
                return err_say(-EINVAL, "%u is not a valid process number", tree->root_pid);
        for (size_t i = 0; i < tree->n_connections; i++) {
                char text[46];
                IpAddress to;
                uint32_t mtu;
                Path path;
                int r;

                /* A second connection to one peer would take the first one's detour for the path. */
                r = ip_from(tree->connections[i]->remote, &to) ? 0 : -EINVAL;
                for (size_t k = 0; r >= 0 && k < i; k++) {
                        IpAddress other;

                        if (ip_from(tree->connections[k]->remote, &other) && ip_equal(&to, &other))
                                r = -EEXIST;
                }
                if (r < 0 || peer_path(tree->connections[i], &to, &path) < 0)
                        continue;
                mtu = detour_mtu(&to, &path);
                if (mtu == 0)
                        continue;
                r = netlink_route_put(&to, &path, tree->root_pid, mtu);
                if (r < 0)
                        return err_born(r, "cannot set a route with a smaller MTU to %s",
                                        ip_text(&to, text));
        }
        return 0;
}

/* Removes the routes with this metric, or (0) all that are ours. */
static int drop(uint32_t metric) {
        _cleanup_(freep) OwnRoute *own = NULL;
        int r, failed = 0, dropped = 0;
        size_t n;

        r = netlink_own_routes(&own, &n);
        if (r < 0)
                return err_born(r, "cannot list the routes");
        for (size_t i = 0; i < n; i++) {
                if (metric && own[i].metric != metric)
                        continue;
                r = netlink_route_drop(&own[i].to, own[i].table, own[i].metric);
                if (r < 0)
                        failed = err_born(r, "cannot remove a route with a smaller MTU");
                else
                        dropped++;
        }
        return failed < 0 ? failed : dropped;
}

int network_mtu_end(const Tree *tree) {
        int r = drop(tree->root_pid);

        return r < 0 ? err_pass(r) : 0;
}

int network_mtu_sweep(void) {
        return drop(0);
}

/* SPDX-License-Identifier: GPL-2.0-or-later */

/*
 * The front of the hold: checks what is to be held, chooses the backend, and changes over between them
 * without a gap. The order is always: the new hold on, then the other backend's off. A packet dropped twice
 * for a moment is no harm; a packet let through draws a reset from a kernel that has no socket for it.
 */

#include "netfilter/hold.h"

#include "base/cleanup.h"
#include "base/err.h"
#include "kernel/kmod.h"
#include "netfilter/internal.h"

#include <errno.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>

/* x_tables, nft expressions and hash sets come as dependencies or inside these, from Debian 12's 6.1 on. */
const char *const hold_modules[] = {
                "ip_tables", "iptable_raw", "ip6_tables", "ip6table_raw", "xt_mark",
                "xt_tcpudp", "nfnetlink",   "nf_tables",  NULL,
};

/* Writes the address as packets carry it; its length, or 0 if it is none. */
static size_t address_on_wire(ProtobufCBinaryData address, uint8_t out[static 16]) {
        static const uint8_t mapped[12] = {[10] = 0xff, [11] = 0xff};

        memset(out, 0, 16);
        if (address.len == 16 && memcmp(address.data, mapped, sizeof mapped) == 0) {
                memcpy(out, address.data + sizeof mapped, 4);
                return 4;
        }
        if (address.len != 4 && address.len != 16)
                return 0;
        memcpy(out, address.data, address.len);
        return address.len;
}

/* False: no packet can be of such a connection. */
static bool pair_make(const Connection *c, HoldPair *ret, bool *ret_v6) {
        HoldPair pair = {0};
        size_t local, remote;

        local = address_on_wire(c->local, pair.local);
        remote = address_on_wire(c->remote, pair.remote);
        if (local == 0 || local != remote || c->local_port - 1 >= UINT16_MAX ||
            c->remote_port - 1 >= UINT16_MAX)
                return false;
        pair.local_port = (uint16_t)c->local_port;
        pair.remote_port = (uint16_t)c->remote_port;
        *ret = pair;
        *ret_v6 = local == 16;
        return true;
}

static bool port_make(const Port *p, HoldPort *ret, bool *ret_v6) {
        static const uint8_t any[16];
        HoldPort port = {0};
        size_t local = address_on_wire(p->local, port.local);

        if (local == 0 || p->port - 1 >= UINT16_MAX ||
            (p->protocol != IPPROTO_TCP && p->protocol != IPPROTO_UDP))
                return false;
        port.port = (uint16_t)p->port;
        port.protocol = (uint8_t)p->protocol;
        port.any = memcmp(port.local, any, sizeof any) == 0;
        *ret = port;
        *ret_v6 = local == 16;
        return true;
}

static int pair_compare(const void *a, const void *b) {
        return memcmp(a, b, sizeof(HoldPair));
}

static int port_compare(const void *a, const void *b) {
        return memcmp(a, b, sizeof(HoldPort));
}

/* Sorts and takes doubles out; the new count. */
static size_t unique(void *items, size_t n, size_t size, int (*compare)(const void *a, const void *b)) {
        uint8_t *bytes = items;
        size_t kept = 0;

        qsort(bytes, n, size, compare);
        for (size_t i = 0; i < n; i++)
                if (kept == 0 || compare(bytes + (kept - 1) * size, bytes + i * size) != 0)
                        memmove(bytes + kept++ * size, bytes + i * size, size);
        return kept;
}

/* One tree's odd connection must not keep all others from being held. */
static void add_pairs(const HoldSet *set, HoldList *list) {
        for (size_t i = 0; i < set->n_connections; i++) {
                HoldPair pair;
                bool is_v6 = false;

                if (!pair_make(set->connections[i], &pair, &is_v6))
                        continue;
                if (is_v6)
                        list->v6.pairs[list->v6.n_pairs++] = pair;
                else
                        list->v4.pairs[list->v4.n_pairs++] = pair;
        }
}

/* A socket that is bound to any address of IPv6 may get IPv4 too. */
static void add_ports(const HoldSet *set, HoldList *list) {
        for (size_t i = 0; i < set->n_ports; i++) {
                HoldPort port;
                bool is_v6 = false;

                if (!port_make(set->ports[i], &port, &is_v6))
                        continue;
                if (is_v6)
                        list->v6.ports[list->v6.n_ports++] = port;
                if (!is_v6 || port.any)
                        list->v4.ports[list->v4.n_ports++] = port;
        }
}

static bool family_room(HoldFamily *family, const HoldSet *set) {
        family->pairs = calloc(set->n_connections ?: 1, sizeof *family->pairs);
        family->ports = calloc(set->n_ports ?: 1, sizeof *family->ports);
        return family->pairs && family->ports;
}

static void family_sort(HoldFamily *family) {
        family->n_pairs = unique(family->pairs, family->n_pairs, sizeof *family->pairs, pair_compare);
        family->n_ports = unique(family->ports, family->n_ports, sizeof *family->ports, port_compare);
}

int hold_list_make(const HoldSet *set, HoldList *ret) {
        _cleanup_(hold_list_done) HoldList list = {0};

        if (!family_room(&list.v4, set) || !family_room(&list.v6, set))
                return -ENOMEM;
        add_pairs(set, &list);
        add_ports(set, &list);
        family_sort(&list.v4);
        family_sort(&list.v6);
        *ret = TAKE(list);
        return 0;
}

void hold_list_done(HoldList *list) {
        free(list->v4.pairs);
        free(list->v4.ports);
        free(list->v6.pairs);
        free(list->v6.ports);
        *list = (HoldList){0};
}

/* A kernel answers for its modules only once they are there: ip_tables is not loaded on demand. */
static int with_modules(int (*set)(const HoldList *list), const HoldList *list) {
        int r = set(list);

        if (r != -EOPNOTSUPP)
                return r;
        (void)kmod_load(hold_modules);
        return set(list);
}

static int set_iptables(const HoldList *list) {
        int r = with_modules(hold_iptables_set, list);

        if (r < 0)
                return err_pass(r);
        r = hold_nftables_clear();
        return r == -EOPNOTSUPP ? 0 : err_pass(r);
}

static int set_nftables(const HoldList *list) {
        int r = with_modules(hold_nftables_set, list);

        if (r < 0)
                return err_pass(r);
        r = hold_iptables_clear();
        return r == -EOPNOTSUPP ? 0 : err_pass(r);
}

int hold_set(HoldBackend backend, const HoldSet *set, HoldBackend *ret_used) {
        _cleanup_(hold_list_done) HoldList list = {0};
        HoldBackend used = backend;
        int r;

        r = hold_list_make(set, &list);
        if (r < 0)
                return err_pass(r);
        if (backend == HOLD_AUTO)
                used = HOLD_IPTABLES;
        r = used == HOLD_IPTABLES ? set_iptables(&list) : set_nftables(&list);
        if (r == -EOPNOTSUPP && backend == HOLD_AUTO) {
                used = HOLD_NFTABLES;
                r = set_nftables(&list);
        }
        if (r < 0)
                return err_pass(r);
        if (ret_used)
                *ret_used = used;
        return 0;
}

/* A table of iptables that is opened exists from then on, so nftables, which leaves no trace, is asked
 * first. */
static int probe(HoldBackend backend) {
        int r = backend == HOLD_IPTABLES ? -EOPNOTSUPP : hold_nftables_probe();

        if (r == -EOPNOTSUPP && backend != HOLD_NFTABLES)
                r = hold_iptables_probe();
        return r < 0 ? err_pass(r) : 0;
}

int hold_possible(HoldBackend backend) {
        int r = probe(backend);

        if (r != -EOPNOTSUPP)
                return r;
        (void)kmod_load(hold_modules);
        return probe(backend);
}

int hold_clear(void) {
        int a, b;

        a = hold_iptables_clear();
        b = hold_nftables_clear();
        if (a < 0 && a != -EOPNOTSUPP)
                return err_pass(a);
        if (b < 0 && b != -EOPNOTSUPP)
                return err_pass(b);
        err_clear();
        return 0;
}

int hold_present(size_t *ret_n) {
        size_t n_iptables = 0, n_nftables = 0;
        int a, b;

        a = hold_iptables_present(&n_iptables);
        if (a < 0 && a != -EOPNOTSUPP)
                return err_pass(a);
        b = hold_nftables_present(&n_nftables);
        if (b < 0 && b != -EOPNOTSUPP)
                return err_pass(b);
        if (ret_n)
                *ret_n = n_iptables > n_nftables ? n_iptables : n_nftables;
        return a > 0 || b > 0;
}

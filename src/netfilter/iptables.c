/* SPDX-License-Identifier: GPL-2.0-or-later */

/*
 * The hold by libiptc: table `raw` of both families, where packets pass before connection tracking sees
 * them.
 *
 *         PREROUTING  1: jump CARRYOVER          OUTPUT  1: jump CARRYOVER
 *         CARRYOVER   1: mark 0xC114, return
 *                     then per connection: from the peer, drop; to the peer, drop
 *
 *         PREROUTING  2: jump CARRYOVER-PORTS, if ports are held
 *         CARRYOVER-PORTS likewise, and per port: to the port, drop; of TCP only what begins a connection
 *
 * A legacy table is one array in the kernel, walked rule by rule, so a long list costs every packet of the
 * machine. From BUCKET_MIN connections on the drops therefore stand in chains CARRYOVER-0, -1, ... of about
 * the square root of their number, reached by ranges of the port that tells the connections apart best; and
 * those of the ports in CARRYOVER-PORTS-0, -1, ...
 *
 * libiptc reads the whole table, lets us edit it, and replaces it as a whole: other people's rules stay,
 * with their counters, and a packet sees either the old table or the new one. Somebody else's commit in
 * between makes ours fail with EAGAIN, and we begin again. That check only compares the number of rules, so
 * we also take the lock file that the iptables tools take; not for ever, since in early boot nobody will
 * release it.
 */

#include "netfilter/internal.h"
#include "netfilter/xtables.h"

#include "base/cleanup.h"
#include "base/err.h"
#include "base/fd.h"
#include "base/text.h"

#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define CHAIN       "CARRYOVER"
#define PORTS_CHAIN CHAIN "-PORTS"
/* "CARRYOVER-123" */
#define BUCKET_PREFIX      CHAIN "-"
#define PORT_BUCKET_PREFIX PORTS_CHAIN "-"
/* Below, one range per bucket would cost more rules than it saves. */
#define BUCKET_MIN 32u

/* As often as somebody may commit between our reading and writing before we call it a failure. */
#define COMMIT_TRIES 20

static bool is_bucket(const char *chain, const char *prefix) {
        const char *digits = chain + strlen(prefix);

        return starts_with(chain, prefix) && *digits && digits[strspn(digits, "0123456789")] == '\0';
}

static bool holds_connections(const char *chain) {
        return strcmp(chain, CHAIN) == 0 || is_bucket(chain, BUCKET_PREFIX);
}

static bool chain_is_ours(const char *chain) {
        return holds_connections(chain) || strcmp(chain, PORTS_CHAIN) == 0 ||
               is_bucket(chain, PORT_BUCKET_PREFIX);
}

/* Takes the rules out of one chain that lead to a chain of ours. */
static int unhook(const XtFamily *f, const char *chain, struct xtc_handle *h) {
        const void *rule = NULL;
        const char *target;
        unsigned number = 0;

        while ((target = f->walk(chain, &rule, h))) {
                if (!chain_is_ours(target)) {
                        number++;
                        continue;
                }
                if (!f->delete_rule(chain, number, h))
                        return xt_failure(f, "edit");
                /* The walk is over with the rule; begin again. There is one such rule, or a few. */
                rule = NULL;
                number = 0;
        }
        return 0;
}

/* Takes everything of ours out of the table as read; *ret says whether there was anything. */
static int strip(const XtFamily *f, struct xtc_handle *h, bool *ret) {
        _cleanup_(freep) xt_chainlabel *ours = NULL;
        size_t n = 0;
        int r;

        for (const char *chain = f->first_chain(h); chain; chain = f->next_chain(h))
                if (chain_is_ours(chain)) {
                        xt_chainlabel *more = reallocarray(ours, n + 1, sizeof *ours);

                        if (!more)
                                return -ENOMEM;
                        ours = more;
                        strcpy(ours[n++], chain);
                }
        for (size_t i = 0; i < n; i++)
                if (!f->flush(ours[i], h))
                        return xt_failure(f, "edit");
        for (const char *chain = n > 0 ? f->first_chain(h) : NULL; chain; chain = f->next_chain(h)) {
                r = unhook(f, chain, h);
                if (r < 0)
                        return err_pass(r);
        }
        for (size_t i = 0; i < n; i++)
                if (!f->delete_chain(ours[i], h))
                        return xt_failure(f, "edit");
        *ret = n > 0;
        return 0;
}

static int add_pair(const XtFamily *f, const char *chain, const HoldPair *p, struct xtc_handle *h) {
        const XtPorts local = {p->local_port, p->local_port}, remote = {p->remote_port, p->remote_port};
        const XtRule in = {
                        .source = p->remote,
                        .destination = p->local,
                        .protocol = IPPROTO_TCP,
                        .source_ports = remote,
                        .destination_ports = local,
                        .target = IPTC_LABEL_DROP,
        };
        const XtRule out = {
                        .source = p->local,
                        .destination = p->remote,
                        .protocol = IPPROTO_TCP,
                        .source_ports = local,
                        .destination_ports = remote,
                        .target = IPTC_LABEL_DROP,
        };

        return f->add(chain, &in, false, h) && f->add(chain, &out, false, h) ? 0 : xt_failure(f, "edit");
}

static int by_local_port(const void *a, const void *b) {
        return (int)((const HoldPair *)a)->local_port - (int)((const HoldPair *)b)->local_port;
}

static int by_remote_port(const void *a, const void *b) {
        return (int)((const HoldPair *)a)->remote_port - (int)((const HoldPair *)b)->remote_port;
}

static uint16_t port_of(const HoldPair *p, bool local) {
        return local ? p->local_port : p->remote_port;
}

static size_t distinct_ports(HoldPair *pairs, size_t n, bool local) {
        size_t distinct = 0;

        qsort(pairs, n, sizeof *pairs, local ? by_local_port : by_remote_port);
        for (size_t i = 0; i < n; i++)
                distinct += i == 0 || port_of(&pairs[i], local) != port_of(&pairs[i - 1], local);
        return distinct;
}

/* One chain with these pairs, and the two rules of CARRYOVER that lead there. A packet may have to look into
 * several (its other port is in range, too), so these are jumps, from which it comes back. */
static int add_bucket(const XtFamily *f, unsigned number, const HoldPair *pairs, size_t n, bool local,
                      struct xtc_handle *h) {
        const XtPorts range = {port_of(&pairs[0], local), port_of(&pairs[n - 1], local)};
        xt_chainlabel chain;
        int r;

        snprintf(chain, sizeof chain, BUCKET_PREFIX "%u", number);
        const XtRule from = {.protocol = IPPROTO_TCP,
                             .source_ports = range,
                             .destination_ports = XT_ANY_PORT,
                             .target = chain};
        const XtRule to = {.protocol = IPPROTO_TCP,
                           .source_ports = XT_ANY_PORT,
                           .destination_ports = range,
                           .target = chain};

        if (!f->create_chain(chain, h))
                return xt_failure(f, "edit");
        for (size_t i = 0; i < n; i++) {
                r = add_pair(f, chain, &pairs[i], h);
                if (r < 0)
                        return r;
        }
        return f->add(CHAIN, &from, false, h) && f->add(CHAIN, &to, false, h) ? 0 : xt_failure(f, "edit");
}

static size_t bucket_size(size_t n) {
        size_t size = 1;

        while (size * size < n)
                size++;
        return size;
}

static int add_buckets(const XtFamily *f, const HoldPair *pairs, size_t n, struct xtc_handle *h) {
        _cleanup_(freep) HoldPair *sorted = calloc(n, sizeof *sorted);
        size_t size = bucket_size(n);
        unsigned number = 0;
        bool local;
        int r;

        if (!sorted)
                return -ENOMEM;
        memcpy(sorted, pairs, n * sizeof *sorted);
        local = distinct_ports(sorted, n, true) > distinct_ports(sorted, n, false);
        if (local)
                qsort(sorted, n, sizeof *sorted, by_local_port);
        for (size_t i = 0; i < n; i += size) {
                r = add_bucket(f, number++, sorted + i, n - i < size ? n - i : size, local, h);
                if (r < 0)
                        return err_pass(r);
        }
        return 0;
}

/* Ports, which only arriving packets can go to: a wildcard would match what leaves for the same port of
 * somebody else. */

static int by_port(const void *a, const void *b) {
        return (int)((const HoldPort *)a)->port - (int)((const HoldPort *)b)->port;
}

static XtRule to_ports(uint8_t protocol, uint16_t low, uint16_t high, const char *target) {
        return (XtRule){
                        .protocol = protocol,
                        .only_new = protocol == IPPROTO_TCP,
                        .source_ports = XT_ANY_PORT,
                        .destination_ports = {low, high},
                        .target = target,
        };
}

static int add_port(const XtFamily *f, const char *chain, const HoldPort *p, struct xtc_handle *h) {
        XtRule rule = to_ports(p->protocol, p->port, p->port, IPTC_LABEL_DROP);

        rule.destination = p->any ? NULL : p->local;
        return f->add(chain, &rule, false, h) ? 0 : xt_failure(f, "edit");
}

static int add_port_bucket(const XtFamily *f, unsigned number, const HoldPort *ports, size_t n,
                           struct xtc_handle *h) {
        xt_chainlabel chain;
        int r = 0;

        snprintf(chain, sizeof chain, PORT_BUCKET_PREFIX "%u", number);
        const XtRule tcp = to_ports(IPPROTO_TCP, ports[0].port, ports[n - 1].port, chain);
        const XtRule udp = to_ports(IPPROTO_UDP, ports[0].port, ports[n - 1].port, chain);

        if (!f->create_chain(chain, h))
                return xt_failure(f, "edit");
        for (size_t i = 0; r == 0 && i < n; i++)
                r = add_port(f, chain, &ports[i], h);
        if (r < 0)
                return r;
        return f->add(PORTS_CHAIN, &tcp, false, h) && f->add(PORTS_CHAIN, &udp, false, h)
                               ? 0
                               : xt_failure(f, "edit");
}

static int add_port_buckets(const XtFamily *f, const HoldFamily *held, struct xtc_handle *h) {
        _cleanup_(freep) HoldPort *sorted = calloc(held->n_ports, sizeof *sorted);
        size_t n = held->n_ports, size = bucket_size(n);
        unsigned number = 0;
        int r = 0;

        if (!sorted)
                return -ENOMEM;
        memcpy(sorted, held->ports, n * sizeof *sorted);
        qsort(sorted, n, sizeof *sorted, by_port);
        for (size_t i = 0; r == 0 && i < n; i += size)
                r = add_port_bucket(f, number++, sorted + i, n - i < size ? n - i : size, h);
        return err_pass(r);
}

static int add_ports(const XtFamily *f, const HoldFamily *held, struct xtc_handle *h) {
        const XtRule pass = {.mark = HOLD_PASS_MARK, .target = IPTC_LABEL_RETURN};
        const XtRule hook = {.target = PORTS_CHAIN};
        int r = 0;

        if (held->n_ports == 0)
                return 0;
        if (!f->create_chain(PORTS_CHAIN, h) || !f->add(PORTS_CHAIN, &pass, false, h))
                return xt_failure(f, "edit");
        if (held->n_ports >= BUCKET_MIN)
                r = add_port_buckets(f, held, h);
        else
                for (size_t i = 0; r == 0 && i < held->n_ports; i++)
                        r = add_port(f, PORTS_CHAIN, &held->ports[i], h);
        if (r == 0 && !f->add("PREROUTING", &hook, true, h))
                r = xt_failure(f, "edit");
        return err_pass(r);
}

static int add_connections(const XtFamily *f, const HoldFamily *held, struct xtc_handle *h) {
        const XtRule pass = {.mark = HOLD_PASS_MARK, .target = IPTC_LABEL_RETURN};
        const XtRule hook = {.target = CHAIN};
        int r = 0;

        if (!f->create_chain(CHAIN, h) || !f->add(CHAIN, &pass, false, h))
                return xt_failure(f, "edit");
        if (held->n_pairs >= BUCKET_MIN)
                r = add_buckets(f, held->pairs, held->n_pairs, h);
        else
                for (size_t i = 0; r == 0 && i < held->n_pairs; i++)
                        r = add_pair(f, CHAIN, &held->pairs[i], h);
        if (r == 0 && (!f->add("PREROUTING", &hook, true, h) || !f->add("OUTPUT", &hook, true, h)))
                r = xt_failure(f, "edit");
        return err_pass(r);
}

static int fill(const XtFamily *f, const HoldFamily *held, struct xtc_handle *h) {
        int r = add_ports(f, held, h);

        return r < 0 ? err_pass(r) : err_pass(add_connections(f, held, h));
}

/* One reading, editing and writing of a table. held NULL: only strip. Answer 1: somebody was faster. */
static int table_try(const XtFamily *f, const HoldFamily *held) {
        struct xtc_handle *h;
        bool changed = false;
        int r;

        r = xt_table_open(f, &h);
        if (r < 0)
                return err_pass(r);
        r = strip(f, h, &changed);
        if (r == 0 && held) {
                r = fill(f, held, h);
                changed = true;
        }
        errno = 0;
        if (r == 0 && changed && !f->commit(h))
                r = errno == EAGAIN ? 1 : xt_failure(f, "write");
        f->free(h);
        return r;
}

static int table_edit(const XtFamily *f, const HoldFamily *held) {
        int lock = xt_lock_tools(), r = 1;

        for (int i = 0; r == 1 && i < COMMIT_TRIES; i++)
                r = table_try(f, held);
        fd_close(lock);
        if (r == 1)
                return err_say(-EAGAIN, "cannot write %s table %s: another program keeps changing it",
                               f->name, XT_TABLE);
        return err_pass(r);
}

int hold_iptables_probe(void) {
        struct xtc_handle *h;
        int r;

        r = xt_table_open(&xt_families[0], &h);
        if (r < 0)
                return err_pass(r);
        xt_families[0].free(h);
        return 0;
}

int hold_iptables_set(const HoldList *list) {
        int r;

        /* The family that may be missing goes first, so that a refusal has changed nothing. A kernel without
         * IPv6 has nothing of it to hold. */
        r = table_edit(&xt_families[1], &list->v6);
        if (r < 0 && !(r == -EOPNOTSUPP && list->v6.n_pairs == 0 && list->v6.n_ports == 0))
                return err_pass(r);
        return err_pass(table_edit(&xt_families[0], &list->v4));
}

int hold_iptables_clear(void) {
        int first = 0;

        for (size_t i = 0; i < ELEMENTS(xt_families); i++) {
                int r = xt_table_exists(&xt_families[i]);

                if (r > 0)
                        r = table_edit(&xt_families[i], NULL);
                if (r < 0 && first == 0)
                        first = r;
        }
        return err_pass(first);
}

/* Connections held by one family, each two drops; -1 in *ret if there is no chain of ours. */
static int count(const XtFamily *f, ssize_t *ret) {
        struct xtc_handle *h;
        ssize_t drops = 0;
        int r;

        r = xt_table_open(f, &h);
        if (r < 0)
                return err_pass(r);
        if (!f->is_chain(CHAIN, h))
                drops = -1;
        else
                for (const char *chain = f->first_chain(h); chain; chain = f->next_chain(h)) {
                        const void *rule = NULL;
                        const char *target;

                        while (holds_connections(chain) && (target = f->walk(chain, &rule, h)))
                                drops += strcmp(target, IPTC_LABEL_DROP) == 0;
                }
        f->free(h);
        *ret = drops < 0 ? -1 : drops / 2;
        return 0;
}

int hold_iptables_present(size_t *ret_n) {
        bool present = false;
        size_t total = 0;

        for (size_t i = 0; i < ELEMENTS(xt_families); i++) {
                ssize_t n = -1;
                int r = xt_table_exists(&xt_families[i]);

                if (r > 0)
                        r = count(&xt_families[i], &n);
                if (r < 0)
                        return err_pass(r);
                if (n >= 0) {
                        present = true;
                        total += (size_t)n;
                }
        }
        *ret_n = total;
        return present;
}

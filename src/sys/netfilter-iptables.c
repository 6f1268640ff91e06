/* SPDX-License-Identifier: GPL-2.0-or-later */

/*
 * The hold by libiptc: table `raw` of both families, where packets pass before connection tracking sees
 * them.
 *
 *         PREROUTING  1: jump CARRYOVER          OUTPUT  1: jump CARRYOVER
 *         CARRYOVER   1: mark 0xC114, return
 *                     then per connection: from the peer, drop; to the peer, drop
 *
 * A legacy table is one array in the kernel, walked rule by rule, so a long list costs every packet of the
 * machine. From BUCKET_MIN connections on the drops therefore stand in chains CARRYOVER-0, -1, ... of about
 * the square root of their number, reached by ranges of the port that tells the connections apart best.
 *
 * libiptc reads the whole table, lets us edit it, and replaces it as a whole: other people's rules stay,
 * with their counters, and a packet sees either the old table or the new one. Somebody else's commit in
 * between makes ours fail with EAGAIN, and we begin again. That check only compares the number of rules, so
 * we also take the lock file that the iptables tools take; not for ever, since in early boot nobody will
 * release it.
 */

#include "sys/netfilter-backend.h"

#include "base/cleanup.h"
#include "base/err.h"
#include "base/fd.h"
#include "base/text.h"

#include <errno.h>
#include <fcntl.h>
#include <libiptc/libip6tc.h>
#include <libiptc/libiptc.h>
#include <libiptc/libxtc.h>
#include <linux/netfilter/xt_mark.h>
#include <linux/netfilter/xt_tcpudp.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <time.h>
#include <unistd.h>

#define TABLE "raw"
#define CHAIN "CARRYOVER"
/* "CARRYOVER-123" */
#define BUCKET_PREFIX CHAIN "-"
/* Below, one range per bucket would cost more rules than it saves. */
#define BUCKET_MIN 32u

#define LOCK_PATH  "/run/xtables.lock"
#define LOCK_TRIES 50 /* of 20 ms: an iptables-restore of thousands of rules is done in less than 1 s */
#define LOCK_PAUSE (20 * 1000 * 1000)

/* As often as somebody may commit between our reading and writing before we call it a failure. */
#define COMMIT_TRIES 20

typedef struct Ports {
        uint16_t low, high;
} Ports;

static const Ports any_port = {0, UINT16_MAX};

/* A rule in neither family's words. */
typedef struct Rule {
        const uint8_t *source, *destination; /* NULL: any */
        bool tcp;                            /* the ports count */
        Ports source_ports, destination_ports;
        bool pass_mark; /* only with CRIU's mark */
        const char *target;
} Rule;

/* libiptc's two twins behind one face. The handles are of one type, the entries are not. */
typedef struct Family {
        const char *name;       /* for people */
        const char *names_path; /* tables that exist in this network namespace; no file: no module */
        struct xtc_handle *(*init)(const char *table);
        void (*free)(struct xtc_handle *h);
        int (*commit)(struct xtc_handle *h);
        int (*is_chain)(const char *chain, struct xtc_handle *h);
        const char *(*first_chain)(struct xtc_handle *h);
        const char *(*next_chain)(struct xtc_handle *h);
        int (*create_chain)(const xt_chainlabel chain, struct xtc_handle *h);
        int (*flush)(const xt_chainlabel chain, struct xtc_handle *h);
        int (*delete_chain)(const xt_chainlabel chain, struct xtc_handle *h);
        int (*delete_rule)(const xt_chainlabel chain, unsigned number, struct xtc_handle *h);
        const char *(*strerror)(int error);
        /* The target of each rule, in order: rule NULL begins, *rule NULL has ended. */
        const char *(*walk)(const char *chain, const void **rule, struct xtc_handle *h);
        int (*add)(const char *chain, const Rule *rule, bool first, struct xtc_handle *h);
} Family;

/* Entries have a fixed head, then matches, then the target. Room for the largest that we make. */
#define MATCH_SIZE(type) (XT_ALIGN(sizeof(struct xt_entry_match)) + XT_ALIGN(sizeof(type)))
#define TARGET_SIZE      XT_ALIGN(sizeof(struct xt_standard_target))
#define TAIL_MAX         (MATCH_SIZE(struct xt_tcp) + MATCH_SIZE(struct xt_mark_mtinfo1) + TARGET_SIZE)

static void *match_put(uint8_t *tail, size_t *used, const char *name, uint8_t revision, size_t size) {
        struct xt_entry_match *match = (void *)(tail + *used);

        match->u.match_size = (uint16_t)size;
        match->u.user.revision = revision;
        strcpy(match->u.user.name, name);
        *used += size;
        return match->data;
}

/* Writes matches and target behind an entry's head. *ret_target: offset of the target; the whole size is
 * returned. */
static size_t tail_make(const Rule *rule, uint8_t tail[static TAIL_MAX], size_t *ret_target) {
        struct xt_entry_target *target;
        size_t used = 0;

        memset(tail, 0, TAIL_MAX);
        if (rule->tcp) {
                struct xt_tcp *tcp = match_put(tail, &used, "tcp", 0, MATCH_SIZE(struct xt_tcp));

                tcp->spts[0] = rule->source_ports.low;
                tcp->spts[1] = rule->source_ports.high;
                tcp->dpts[0] = rule->destination_ports.low;
                tcp->dpts[1] = rule->destination_ports.high;
        }
        if (rule->pass_mark) {
                struct xt_mark_mtinfo1 *mark =
                                match_put(tail, &used, "mark", 1, MATCH_SIZE(struct xt_mark_mtinfo1));

                mark->mark = HOLD_PASS_MARK;
                mark->mask = UINT32_MAX;
        }
        target = (void *)(tail + used);
        target->u.target_size = TARGET_SIZE;
        strcpy(target->u.user.name, rule->target);
        *ret_target = used;
        return used + TARGET_SIZE;
}

static int add4(const char *chain, const Rule *rule, bool first, struct xtc_handle *h) {
        uint8_t bytes[sizeof(struct ipt_entry) + TAIL_MAX] __attribute__((aligned(8))) = {0};
        struct ipt_entry *entry = (void *)bytes;
        size_t target, size = tail_make(rule, bytes + sizeof *entry, &target);

        entry->target_offset = (uint16_t)(sizeof *entry + target);
        entry->next_offset = (uint16_t)(sizeof *entry + size);
        entry->ip.proto = rule->tcp ? IPPROTO_TCP : 0;
        if (rule->source) {
                memcpy(&entry->ip.src, rule->source, 4);
                memset(&entry->ip.smsk, 0xff, 4);
        }
        if (rule->destination) {
                memcpy(&entry->ip.dst, rule->destination, 4);
                memset(&entry->ip.dmsk, 0xff, 4);
        }
        return first ? iptc_insert_entry(chain, entry, 0, h) : iptc_append_entry(chain, entry, h);
}

static int add6(const char *chain, const Rule *rule, bool first, struct xtc_handle *h) {
        uint8_t bytes[sizeof(struct ip6t_entry) + TAIL_MAX] __attribute__((aligned(8))) = {0};
        struct ip6t_entry *entry = (void *)bytes;
        size_t target, size = tail_make(rule, bytes + sizeof *entry, &target);

        entry->target_offset = (uint16_t)(sizeof *entry + target);
        entry->next_offset = (uint16_t)(sizeof *entry + size);
        if (rule->tcp) {
                entry->ipv6.proto = IPPROTO_TCP;
                entry->ipv6.flags = IP6T_F_PROTO;
        }
        if (rule->source) {
                memcpy(&entry->ipv6.src, rule->source, 16);
                memset(&entry->ipv6.smsk, 0xff, 16);
        }
        if (rule->destination) {
                memcpy(&entry->ipv6.dst, rule->destination, 16);
                memset(&entry->ipv6.dmsk, 0xff, 16);
        }
        return first ? ip6tc_insert_entry(chain, entry, 0, h) : ip6tc_append_entry(chain, entry, h);
}

static const char *walk4(const char *chain, const void **rule, struct xtc_handle *h) {
        *rule = *rule ? (const void *)iptc_next_rule(*rule, h) : (const void *)iptc_first_rule(chain, h);
        return *rule ? iptc_get_target(*rule, h) : NULL;
}

static const char *walk6(const char *chain, const void **rule, struct xtc_handle *h) {
        *rule = *rule ? (const void *)ip6tc_next_rule(*rule, h) : (const void *)ip6tc_first_rule(chain, h);
        return *rule ? ip6tc_get_target(*rule, h) : NULL;
}

static const Family families[] = {
                {
                                .name = "IPv4",
                                .names_path = "/proc/self/net/ip_tables_names",
                                .init = iptc_init,
                                .free = iptc_free,
                                .commit = iptc_commit,
                                .is_chain = iptc_is_chain,
                                .first_chain = iptc_first_chain,
                                .next_chain = iptc_next_chain,
                                .create_chain = iptc_create_chain,
                                .flush = iptc_flush_entries,
                                .delete_chain = iptc_delete_chain,
                                .delete_rule = iptc_delete_num_entry,
                                .strerror = iptc_strerror,
                                .walk = walk4,
                                .add = add4,
                },
                {
                                .name = "IPv6",
                                .names_path = "/proc/self/net/ip6_tables_names",
                                .init = ip6tc_init,
                                .free = ip6tc_free,
                                .commit = ip6tc_commit,
                                .is_chain = ip6tc_is_chain,
                                .first_chain = ip6tc_first_chain,
                                .next_chain = ip6tc_next_chain,
                                .create_chain = ip6tc_create_chain,
                                .flush = ip6tc_flush_entries,
                                .delete_chain = ip6tc_delete_chain,
                                .delete_rule = ip6tc_delete_num_entry,
                                .strerror = ip6tc_strerror,
                                .walk = walk6,
                                .add = add6,
                },
};

/* libiptc's failure as a negative errno. 0 in errno means that kernel and library speak different versions.
 */
static int failure(const Family *f, const char *what) {
        int error = errno ?: EPROTO;

        return err_say(-error, "cannot %s the %s table %s: %s", what, f->name, TABLE, f->strerror(errno));
}

/* The lock of the iptables tools; -1 if it cannot be had in time, and then we go on without. */
static int lock_tools(void) {
        const struct timespec pause = {.tv_nsec = LOCK_PAUSE};
        _cleanup_(closep) int fd = open(LOCK_PATH, O_RDONLY | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);

        for (int i = 0; fd >= 0 && i < LOCK_TRIES; i++) {
                if (flock(fd, LOCK_EX | LOCK_NB) == 0)
                        return TAKE_FD(fd);
                nanosleep(&pause, NULL);
        }
        return -1;
}

/* Opens the table. -EOPNOTSUPP where the kernel does not have it. */
static int table_open(const Family *f, struct xtc_handle **ret) {
        struct xtc_handle *h;

        errno = 0;
        h = f->init(TABLE);
        if (h) {
                *ret = h;
                return 0;
        }
        if (errno == ENOENT || errno == ENOPROTOOPT || errno == EPROTONOSUPPORT || errno == EAFNOSUPPORT)
                return err_say(-EOPNOTSUPP,
                               "this kernel has no %s table %s (module iptable_raw or ip6table_raw)",
                               f->name, TABLE);
        return failure(f, "read");
}

/* 1 if the table exists already in this namespace, 0 if not: reading it then would create it. */
static int table_exists(const Family *f) {
        _cleanup_(freep) char *line = NULL;
        _cleanup_(fclosep) FILE *names = fopen(f->names_path, "re");
        size_t room = 0;

        if (!names)
                return errno == ENOENT ? 0 : err_born(-errno, "cannot read %s", f->names_path);
        while (getline(&line, &room, names) > 0)
                if (strcmp(line, TABLE "\n") == 0)
                        return 1;
        return 0;
}

static bool chain_is_ours(const char *chain) {
        const char *digits;

        if (strcmp(chain, CHAIN) == 0)
                return true;
        if (!starts_with(chain, BUCKET_PREFIX))
                return false;
        digits = chain + strlen(BUCKET_PREFIX);
        return *digits && digits[strspn(digits, "0123456789")] == '\0';
}

/* Takes the rules out of one chain that lead to a chain of ours. */
static int unhook(const Family *f, const char *chain, struct xtc_handle *h) {
        const void *rule = NULL;
        const char *target;
        unsigned number = 0;

        while ((target = f->walk(chain, &rule, h))) {
                if (!chain_is_ours(target)) {
                        number++;
                        continue;
                }
                if (!f->delete_rule(chain, number, h))
                        return failure(f, "edit");
                /* The walk is over with the rule; begin again. There is one such rule, or a few. */
                rule = NULL;
                number = 0;
        }
        return 0;
}

/* Takes everything of ours out of the table as read; *ret says whether there was anything. */
static int strip(const Family *f, struct xtc_handle *h, bool *ret) {
        _cleanup_(freep) xt_chainlabel *ours = NULL;
        size_t n = 0;
        int r;

        for (const char *chain = f->first_chain(h); chain; chain = f->next_chain(h))
                if (chain_is_ours(chain)) {
                        xt_chainlabel *more = reallocarray(ours, n + 1, sizeof *ours);

                        if (!more)
                                return err_born(-ENOMEM, "cannot list the chains of the %s hold", f->name);
                        ours = more;
                        strcpy(ours[n++], chain);
                }
        for (size_t i = 0; i < n; i++)
                if (!f->flush(ours[i], h))
                        return failure(f, "edit");
        for (const char *chain = n > 0 ? f->first_chain(h) : NULL; chain; chain = f->next_chain(h)) {
                r = unhook(f, chain, h);
                if (r < 0)
                        return err_pass(r);
        }
        for (size_t i = 0; i < n; i++)
                if (!f->delete_chain(ours[i], h))
                        return failure(f, "edit");
        *ret = n > 0;
        return 0;
}

static int add_pair(const Family *f, const char *chain, const HoldPair *p, struct xtc_handle *h) {
        const Ports local = {p->local_port, p->local_port}, remote = {p->remote_port, p->remote_port};
        const Rule in = {
                        .source = p->remote,
                        .destination = p->local,
                        .tcp = true,
                        .source_ports = remote,
                        .destination_ports = local,
                        .target = IPTC_LABEL_DROP,
        };
        const Rule out = {
                        .source = p->local,
                        .destination = p->remote,
                        .tcp = true,
                        .source_ports = local,
                        .destination_ports = remote,
                        .target = IPTC_LABEL_DROP,
        };

        return f->add(chain, &in, false, h) && f->add(chain, &out, false, h) ? 0 : failure(f, "edit");
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
static int add_bucket(const Family *f, unsigned number, const HoldPair *pairs, size_t n, bool local,
                      struct xtc_handle *h) {
        const Ports range = {port_of(&pairs[0], local), port_of(&pairs[n - 1], local)};
        xt_chainlabel chain;
        int r;

        snprintf(chain, sizeof chain, BUCKET_PREFIX "%u", number);
        const Rule from = {
                        .tcp = true, .source_ports = range, .destination_ports = any_port, .target = chain};
        const Rule to = {.tcp = true, .source_ports = any_port, .destination_ports = range, .target = chain};

        if (!f->create_chain(chain, h))
                return failure(f, "edit");
        for (size_t i = 0; i < n; i++) {
                r = add_pair(f, chain, &pairs[i], h);
                if (r < 0)
                        return r;
        }
        return f->add(CHAIN, &from, false, h) && f->add(CHAIN, &to, false, h) ? 0 : failure(f, "edit");
}

static int add_buckets(const Family *f, const HoldPair *pairs, size_t n, struct xtc_handle *h) {
        _cleanup_(freep) HoldPair *sorted = calloc(n, sizeof *sorted);
        unsigned number = 0;
        size_t size = 1;
        bool local;
        int r;

        if (!sorted)
                return err_born(-ENOMEM, "cannot sort %zu connections to hold", n);
        memcpy(sorted, pairs, n * sizeof *sorted);
        local = distinct_ports(sorted, n, true) > distinct_ports(sorted, n, false);
        if (local)
                qsort(sorted, n, sizeof *sorted, by_local_port);
        while (size * size < n)
                size++;
        for (size_t i = 0; i < n; i += size) {
                r = add_bucket(f, number++, sorted + i, n - i < size ? n - i : size, local, h);
                if (r < 0)
                        return err_pass(r);
        }
        return 0;
}

static int fill(const Family *f, const HoldPair *pairs, size_t n, struct xtc_handle *h) {
        const Rule pass = {.pass_mark = true, .target = IPTC_LABEL_RETURN};
        const Rule hook = {.target = CHAIN};
        int r;

        if (!f->create_chain(CHAIN, h) || !f->add(CHAIN, &pass, false, h))
                return failure(f, "edit");
        if (n >= BUCKET_MIN) {
                r = add_buckets(f, pairs, n, h);
                if (r < 0)
                        return err_pass(r);
        } else
                for (size_t i = 0; i < n; i++) {
                        r = add_pair(f, CHAIN, &pairs[i], h);
                        if (r < 0)
                                return err_pass(r);
                }
        if (!f->add("PREROUTING", &hook, true, h) || !f->add("OUTPUT", &hook, true, h))
                return failure(f, "edit");
        return 0;
}

/* One reading, editing and writing of a table. pairs NULL: only strip. Answer 1: somebody was faster. */
static int table_try(const Family *f, const HoldPair *pairs, size_t n) {
        struct xtc_handle *h;
        bool changed = false;
        int r;

        r = table_open(f, &h);
        if (r < 0)
                return err_pass(r);
        r = strip(f, h, &changed);
        if (r == 0 && pairs) {
                r = fill(f, pairs, n, h);
                changed = true;
        }
        errno = 0;
        if (r == 0 && changed && !f->commit(h))
                r = errno == EAGAIN ? 1 : failure(f, "write");
        f->free(h);
        return r;
}

static int table_edit(const Family *f, const HoldPair *pairs, size_t n) {
        int lock = lock_tools(), r = 1;

        for (int i = 0; r == 1 && i < COMMIT_TRIES; i++)
                r = table_try(f, pairs, n);
        fd_close(lock);
        if (r == 1)
                return err_say(-EAGAIN, "cannot write the %s table %s: another program keeps changing it",
                               f->name, TABLE);
        return err_pass(r);
}

int hold_iptables_probe(void) {
        struct xtc_handle *h;
        int r;

        r = table_open(&families[0], &h);
        if (r < 0)
                return err_pass(r);
        families[0].free(h);
        return 0;
}

int hold_iptables_set(const HoldList *list) {
        size_t n_v6 = list->n - list->n_v4;
        int r;

        /* The family that may be missing goes first, so that a refusal has changed nothing. A kernel without
         * IPv6 has nothing of it to hold. */
        r = table_edit(&families[1], list->pairs + list->n_v4, n_v6);
        if (r < 0 && !(r == -EOPNOTSUPP && n_v6 == 0))
                return err_pass(r);
        return err_pass(table_edit(&families[0], list->pairs, list->n_v4));
}

int hold_iptables_clear(void) {
        int first = 0;

        for (size_t i = 0; i < ELEMENTS(families); i++) {
                int r = table_exists(&families[i]);

                if (r > 0)
                        r = table_edit(&families[i], NULL, 0);
                if (r < 0 && first == 0)
                        first = r;
        }
        return err_pass(first);
}

/* Connections held by one family, each two drops; -1 in *ret if there is no chain of ours. */
static int count(const Family *f, ssize_t *ret) {
        struct xtc_handle *h;
        ssize_t drops = 0;
        int r;

        r = table_open(f, &h);
        if (r < 0)
                return err_pass(r);
        if (!f->is_chain(CHAIN, h))
                drops = -1;
        else
                for (const char *chain = f->first_chain(h); chain; chain = f->next_chain(h)) {
                        const void *rule = NULL;
                        const char *target;

                        while (chain_is_ours(chain) && (target = f->walk(chain, &rule, h)))
                                drops += strcmp(target, IPTC_LABEL_DROP) == 0;
                }
        f->free(h);
        *ret = drops < 0 ? -1 : drops / 2;
        return 0;
}

int hold_iptables_present(size_t *ret_n) {
        bool present = false;
        size_t total = 0;

        for (size_t i = 0; i < ELEMENTS(families); i++) {
                ssize_t n = -1;
                int r = table_exists(&families[i]);

                if (r > 0)
                        r = count(&families[i], &n);
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

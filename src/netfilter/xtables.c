/* SPDX-License-Identifier: GPL-2.0-or-later */

/*
 * Rules of iptables by libiptc. Its two libraries, for IPv4 and IPv6, are twins with other names and other
 * entries; here they get one face.
 */

#include "netfilter/xtables.h"

#include "base/cleanup.h"
#include "base/err.h"
#include "base/fd.h"

#include <errno.h>
#include <fcntl.h>
#include <libiptc/libip6tc.h>
#include <libiptc/libiptc.h>
#include <linux/netfilter/xt_mark.h>
#include <linux/netfilter/xt_tcpudp.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <time.h>
#include <unistd.h>

#define LOCK_PATH  "/run/xtables.lock"
#define LOCK_TRIES 50 /* of 20 ms: an iptables-restore of thousands of rules is done in less than 1 s */
#define LOCK_PAUSE (20 * 1000 * 1000)

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

static void match_tcp(const XtRule *rule, struct xt_tcp *tcp) {
        tcp->spts[0] = rule->source_ports.low;
        tcp->spts[1] = rule->source_ports.high;
        tcp->dpts[0] = rule->destination_ports.low;
        tcp->dpts[1] = rule->destination_ports.high;
        if (rule->only_new) {
                tcp->flg_mask = TH_SYN | TH_ACK | TH_RST | TH_FIN;
                tcp->flg_cmp = TH_SYN;
        }
}

static void match_udp(const XtRule *rule, struct xt_udp *udp) {
        udp->spts[0] = rule->source_ports.low;
        udp->spts[1] = rule->source_ports.high;
        udp->dpts[0] = rule->destination_ports.low;
        udp->dpts[1] = rule->destination_ports.high;
}

/* Writes matches and target behind an entry's head. *ret_target: offset of the target; the whole size is
 * returned. */
static size_t tail_make(const XtRule *rule, uint8_t tail[static TAIL_MAX], size_t *ret_target) {
        struct xt_entry_target *target;
        size_t used = 0;

        memset(tail, 0, TAIL_MAX);
        if (rule->protocol == IPPROTO_TCP)
                match_tcp(rule, match_put(tail, &used, "tcp", 0, MATCH_SIZE(struct xt_tcp)));
        if (rule->protocol == IPPROTO_UDP)
                match_udp(rule, match_put(tail, &used, "udp", 0, MATCH_SIZE(struct xt_udp)));
        if (rule->mark) {
                struct xt_mark_mtinfo1 *mark =
                                match_put(tail, &used, "mark", 1, MATCH_SIZE(struct xt_mark_mtinfo1));

                mark->mark = rule->mark;
                mark->mask = UINT32_MAX;
        }
        target = (void *)(tail + used);
        target->u.target_size = TARGET_SIZE;
        strcpy(target->u.user.name, rule->target);
        *ret_target = used;
        return used + TARGET_SIZE;
}

static int add4(const char *chain, const XtRule *rule, bool first, struct xtc_handle *h) {
        uint8_t bytes[sizeof(struct ipt_entry) + TAIL_MAX] __attribute__((aligned(8))) = {0};
        struct ipt_entry *entry = (void *)bytes;
        size_t target, size = tail_make(rule, bytes + sizeof *entry, &target);

        entry->target_offset = (uint16_t)(sizeof *entry + target);
        entry->next_offset = (uint16_t)(sizeof *entry + size);
        entry->ip.proto = rule->protocol;
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

static int add6(const char *chain, const XtRule *rule, bool first, struct xtc_handle *h) {
        uint8_t bytes[sizeof(struct ip6t_entry) + TAIL_MAX] __attribute__((aligned(8))) = {0};
        struct ip6t_entry *entry = (void *)bytes;
        size_t target, size = tail_make(rule, bytes + sizeof *entry, &target);

        entry->target_offset = (uint16_t)(sizeof *entry + target);
        entry->next_offset = (uint16_t)(sizeof *entry + size);
        if (rule->protocol) {
                entry->ipv6.proto = rule->protocol;
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

const XtFamily xt_families[2] = {
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

int xt_failure(const XtFamily *f, const char *what) {
        int error = errno ?: EPROTO;

        return err_say(-error, "cannot %s %s table %s: %s", what, f->name, XT_TABLE, f->strerror(errno));
}

int xt_lock_tools(void) {
        const struct timespec pause = {.tv_nsec = LOCK_PAUSE};
        _cleanup_(closep) int fd = open(LOCK_PATH, O_RDONLY | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);

        for (int i = 0; fd >= 0 && i < LOCK_TRIES; i++) {
                if (flock(fd, LOCK_EX | LOCK_NB) == 0)
                        return TAKE_FD(fd);
                nanosleep(&pause, NULL);
        }
        return -1;
}

int xt_table_open(const XtFamily *f, struct xtc_handle **ret) {
        struct xtc_handle *h;

        errno = 0;
        h = f->init(XT_TABLE);
        if (h) {
                *ret = h;
                return 0;
        }
        if (errno == ENOENT || errno == ENOPROTOOPT || errno == EPROTONOSUPPORT || errno == EAFNOSUPPORT)
                return err_say(-EOPNOTSUPP,
                               "this kernel has no %s table %s (module iptable_raw or ip6table_raw)",
                               f->name, XT_TABLE);
        return xt_failure(f, "read");
}

int xt_table_exists(const XtFamily *f) {
        _cleanup_(freep) char *line = NULL;
        _cleanup_(fclosep) FILE *names = fopen(f->names_path, "re");
        size_t room = 0;

        if (!names)
                return errno == ENOENT ? 0 : err_born(-errno, "cannot read %s", f->names_path);
        while (getline(&line, &room, names) > 0)
                if (strcmp(line, XT_TABLE "\n") == 0)
                        return 1;
        return 0;
}

/* SPDX-License-Identifier: GPL-2.0-or-later */

/*
 * The hold by libnftables: one table of family inet with a hash set per family, looked up once per packet
 * and direction, and three for ports, at the priority of `raw`, before connection tracking.
 *
 * libnftables is run only after hold_nftables_probe(): on a kernel without nfnetlink or nf_tables it ends
 * the process instead of returning. Questions ("is there a table?") go by libmnl, which needs no ruleset
 * cache and answers in microseconds however large other people's rulesets are.
 */

#include "netfilter/hold.h"

#include "base/cleanup.h"
#include "base/err.h"
#include "base/fd.h"
#include "base/text.h"
#include "netfilter/internal.h"

#include <arpa/inet.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <libmnl/libmnl.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>
#include <nftables/libnftables.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

/* libnftables keeps tables of its own outside the context; the guard runs it in a thread. */
static pthread_mutex_t library = PTHREAD_MUTEX_INITIALIZER;

/* A question has a head and at most one flag. */
typedef char QuestionBuffer[256] __attribute__((aligned(NLMSG_ALIGNTO)));

/* A message of nfnetlink with its family header; the caller adds attributes. */
static struct nlmsghdr *request(void *buffer, int type, uint16_t flags) {
        struct nlmsghdr *header = mnl_nlmsg_put_header(buffer);
        struct nfgenmsg *family;

        header->nlmsg_type = (uint16_t)(NFNL_SUBSYS_NFTABLES << 8 | type);
        header->nlmsg_flags = NLM_F_REQUEST | flags;
        header->nlmsg_seq = 1;
        family = mnl_nlmsg_put_extra_header(header, sizeof *family);
        family->nfgen_family = NFPROTO_INET;
        family->version = NFNETLINK_V0;
        return header;
}

/* Sends one request and hands each answer to `each` until the end. A negative errno of the kernel is
 * returned bare: its meaning is the caller's. */
static int ask(const struct nlmsghdr *message, mnl_cb_t each, void *userdata) {
        char buffer[16384] __attribute__((
                        aligned(NLMSG_ALIGNTO))); /* a dump comes in pieces of at most a page or two */
        struct mnl_socket *socket = mnl_socket_open2(NETLINK_NETFILTER, SOCK_CLOEXEC);
        ssize_t n;
        int r = MNL_CB_OK;

        if (!socket)
                return -errno;
        if (mnl_socket_bind(socket, 0, MNL_SOCKET_AUTOPID) < 0 ||
            mnl_socket_sendto(socket, message, message->nlmsg_len) < 0)
                r = -errno;
        while (r == MNL_CB_OK) {
                n = mnl_socket_recvfrom(socket, buffer, sizeof buffer);
                if (n < 0) {
                        r = -errno;
                        break;
                }
                r = mnl_cb_run(buffer, (size_t)n, message->nlmsg_seq, mnl_socket_get_portid(socket), each,
                               userdata);
                if (r == MNL_CB_ERROR)
                        r = -errno;
        }
        mnl_socket_close(socket);
        return r;
}

int hold_nftables_probe(void) {
        QuestionBuffer buffer;
        int r;

        /* A single question, asked with ACK so that the exchange has an end. */
        r = ask(request(buffer, NFT_MSG_GETGEN, NLM_F_ACK), NULL, NULL);
        if (r == -EPERM)
                return err_born(r, "cannot list the nftables rules");
        /* EINVAL: nfnetlink knows no such subsystem. */
        if (r == -EINVAL || r == -EOPNOTSUPP || r == -EPROTONOSUPPORT || r == -EAFNOSUPPORT || r == -ENOENT)
                return err_say(-EOPNOTSUPP, "this kernel does not support nftables (module nf_tables)");
        if (r < 0)
                return err_born(r, "cannot list the nftables rules");
        return 0;
}

typedef struct Search {
        bool (*wanted)(const char *name, const void *what);
        const void *what;
        char (*names)[NFT_NAME_MAXLEN];
        size_t n;
} Search;

static int search_table(const struct nlmsghdr *message, void *userdata) {
        struct nlattr *attribute;
        Search *search = userdata;
        const struct nfgenmsg *family = mnl_nlmsg_get_payload(message);

        if (family->nfgen_family != NFPROTO_INET)
                return MNL_CB_OK;
        mnl_attr_for_each(attribute, message, sizeof *family) {
                const char *name = mnl_attr_get_str(attribute);

                if (mnl_attr_get_type(attribute) != NFTA_TABLE_NAME ||
                    mnl_attr_validate(attribute, MNL_TYPE_NUL_STRING) < 0 ||
                    strlen(name) >= NFT_NAME_MAXLEN || !search->wanted(name, search->what))
                        continue;
                char(*more)[NFT_NAME_MAXLEN] =
                                reallocarray(search->names, search->n + 1, sizeof *search->names);
                if (!more) {
                        errno = ENOMEM;
                        return MNL_CB_ERROR;
                }
                search->names = more;
                strcpy(search->names[search->n++], name);
        }
        return MNL_CB_OK;
}

/* The tables of family inet that `wanted` says yes to. Caller frees search->names. */
static int tables_find(Search *search) {
        QuestionBuffer buffer;
        int r;

        r = hold_nftables_probe();
        if (r < 0)
                return r;
        for (;;) {
                r = ask(request(buffer, NFT_MSG_GETTABLE, NLM_F_DUMP), search_table, search);
                /* Somebody changed the ruleset under the dump. */
                if (r != -EINTR)
                        break;
                search->n = 0;
        }
        return r < 0 ? err_born(r, "cannot list the nftables tables") : 0;
}

static bool is_named(const char *name, const void *what) {
        return strcmp(name, what) == 0;
}

int hold_nftables_table(const char *table) {
        Search search = {.wanted = is_named, .what = table};
        int r = tables_find(&search);

        free(search.names);
        return r < 0 ? err_pass(r) : search.n > 0;
}

/* libnftables opens its socket without close-on-exec and does not tell which it is. A program that we start
 * (CRIU, and through it a carried tree) must not get it: it would keep a guard's table alive. So every
 * netfilter socket of ours is marked, which is right for all of them. */
static void sockets_cloexec(void) {
        _cleanup_(closedirp) DIR *fds = opendir("/proc/self/fd");

        for (struct dirent *entry = fds ? readdir(fds) : NULL; entry; entry = readdir(fds)) {
                int domain = 0, protocol = 0,
                    fd = atoi(entry->d_name); /* 0 for "." is no socket, or harmless */
                socklen_t size = sizeof domain;

                if (getsockopt(fd, SOL_SOCKET, SO_DOMAIN, &domain, &size) == 0 && domain == AF_NETLINK &&
                    getsockopt(fd, SOL_SOCKET, SO_PROTOCOL, &protocol, &size) == 0 &&
                    protocol == NETLINK_NETFILTER)
                        (void)fcntl(fd, F_SETFD, FD_CLOEXEC);
        }
}

int hold_nftables_context(struct nft_ctx **ret) {
        struct nft_ctx *context;
        int r;

        r = hold_nftables_probe();
        if (r < 0)
                return err_pass(r);
        pthread_mutex_lock(&library);
        context = nft_ctx_new(NFT_CTX_DEFAULT);
        sockets_cloexec();
        pthread_mutex_unlock(&library);
        if (!context || nft_ctx_buffer_output(context) != 0 || nft_ctx_buffer_error(context) != 0) {
                hold_nftables_context_freep(&context);
                return -ENOMEM;
        }
        /* Numbers for ports and the like, else /etc/services is read. */
        nft_ctx_output_set_flags(context, NFT_CTX_OUTPUT_NUMERIC_ALL | NFT_CTX_OUTPUT_STATELESS);
        *ret = context;
        return 0;
}

void hold_nftables_context_freep(struct nft_ctx **p) {
        if (!*p)
                return;
        pthread_mutex_lock(&library);
        nft_ctx_free(*p);
        pthread_mutex_unlock(&library);
}

int hold_nftables_run(struct nft_ctx *context, const char *text, const char *what) {
        const char *complaint;
        int error, r;

        pthread_mutex_lock(&library);
        errno = 0;
        r = nft_run_cmd_from_buffer(context, text);
        error = errno;
        pthread_mutex_unlock(&library);
        if (r == 0)
                return 0;
        complaint = nft_ctx_get_error_buffer(context) ?: "";
        return err_say(error > 0 ? -error : -EIO, "cannot %s: nftables: %.*s", what,
                       (int)strcspn(complaint, "\n"), complaint);
}

static void print_pairs(FILE *out, const char *table, int family, const HoldFamily *held) {
        char local[INET6_ADDRSTRLEN], remote[INET6_ADDRSTRLEN];
        const HoldPair *pairs = held->pairs;

        if (held->n_pairs == 0)
                return;
        fprintf(out, "add element inet %s %s {", table, family == AF_INET ? "held4" : "held6");
        for (size_t i = 0; i < held->n_pairs; i++)
                fprintf(out, "%s%s . %" PRIu16 " . %s . %" PRIu16, i > 0 ? "," : "",
                        inet_ntop(family, pairs[i].remote, remote, sizeof remote), pairs[i].remote_port,
                        inet_ntop(family, pairs[i].local, local, sizeof local), pairs[i].local_port);
        fputs("}\n", out);
}

/* Those of any address, or those of one. */
static void print_ports(FILE *out, const char *table, int family, const HoldFamily *held, bool any) {
        const char *set = any ? "ports" : family == AF_INET ? "ports4" : "ports6";
        const char *where = family == AF_INET ? "ipv4" : "ipv6";
        char local[INET6_ADDRSTRLEN];
        size_t n = 0;

        for (size_t i = 0; i < held->n_ports; i++) {
                const HoldPort *p = &held->ports[i];

                if (p->any != any)
                        continue;
                if (n++ == 0)
                        fprintf(out, "add element inet %s %s {", table, set);
                else
                        fputc(',', out);
                fprintf(out, "%s . %d . %" PRIu16,
                        any ? where : inet_ntop(family, p->local, local, sizeof local), p->protocol,
                        p->port);
        }
        if (n > 0)
                fputs("}\n", out);
}

static void print_family(FILE *out, const char *table, int family, const HoldFamily *held) {
        print_pairs(out, table, family, held);
        print_ports(out, table, family, held, true);
        print_ports(out, table, family, held, false);
}

/* "add, delete, add" works on every kernel whether or not the table is there, and all of it becomes visible
 * to packets in one step. */
static const char table_text[] =
                "add table inet %1$s%2$s\n"
                "delete table inet %1$s\n"
                "add table inet %1$s%2$s\n"
                "add set inet %1$s held4 { type ipv4_addr . inet_service . ipv4_addr . inet_service; }\n"
                "add set inet %1$s held6 { type ipv6_addr . inet_service . ipv6_addr . inet_service; }\n"
                "add chain inet %1$s prerouting { type filter hook prerouting priority -300; }\n"
                "add chain inet %1$s output { type filter hook output priority -300; }\n"
                "add rule inet %1$s prerouting meta mark %3$u accept\n"
                "add rule inet %1$s prerouting ip saddr . tcp sport . ip daddr . tcp dport @held4 drop\n"
                "add rule inet %1$s prerouting ip6 saddr . tcp sport . ip6 daddr . tcp dport @held6 drop\n"
                "add rule inet %1$s output meta mark %3$u accept\n"
                "add rule inet %1$s output ip daddr . tcp dport . ip saddr . tcp sport @held4 drop\n"
                "add rule inet %1$s output ip6 daddr . tcp dport . ip6 saddr . tcp sport @held6 drop\n";

/* Only where there are any, and behind what lets most packets pass. */
static const char ports_text[] =
                "add set inet %1$s ports { type nf_proto . inet_proto . inet_service; }\n"
                "add set inet %1$s ports4 { type ipv4_addr . inet_proto . inet_service; }\n"
                "add set inet %1$s ports6 { type ipv6_addr . inet_proto . inet_service; }\n"
                "add rule inet %1$s prerouting meta l4proto != { tcp, udp } accept\n"
                "add rule inet %1$s prerouting tcp flags & (fin | syn | rst | ack) != syn accept\n"
                "add rule inet %1$s prerouting meta nfproto . meta l4proto . th dport @ports drop\n"
                "add rule inet %1$s prerouting ip daddr . meta l4proto . th dport @ports4 drop\n"
                "add rule inet %1$s prerouting ip6 daddr . meta l4proto . th dport @ports6 drop\n";

int hold_nftables_text(const char *table, NftOwner owner, const HoldList *list, char **ret) {
        _cleanup_(freep) char *text = NULL;
        size_t size;
        FILE *out = open_memstream(&text, &size);
        bool failed;

        if (!out)
                return -ENOMEM;
        fprintf(out, table_text, table, owner == NFT_OWNED ? " { flags owner; }" : "", HOLD_PASS_MARK);
        if (list->v4.n_ports + list->v6.n_ports > 0)
                fprintf(out, ports_text, table);
        print_family(out, table, AF_INET, &list->v4);
        print_family(out, table, AF_INET6, &list->v6);
        failed = ferror(out);
        failed |= fclose(out) != 0;
        if (failed)
                return -ENOMEM;
        *ret = TAKE(text);
        return 0;
}

int hold_nftables_set(const HoldList *list) {
        _cleanup_(hold_nftables_context_freep) struct nft_ctx *context = NULL;
        _cleanup_(freep) char *text = NULL;
        int r;

        r = hold_nftables_context(&context);
        if (r < 0)
                return err_pass(r);
        r = hold_nftables_text(HOLD_NFT_TABLE, NFT_SHARED, list, &text);
        if (r < 0)
                return err_pass(r);
        return err_pass(hold_nftables_run(context, text, "install the hold"));
}

static int table_delete(const char *table) {
        _cleanup_(hold_nftables_context_freep) struct nft_ctx *context = NULL;
        char text[NFT_NAME_MAXLEN + 32];
        int r;

        r = hold_nftables_table(table);
        if (r <= 0)
                return err_pass(r);
        r = hold_nftables_context(&context);
        if (r < 0)
                return err_pass(r);
        snprintf(text, sizeof text, "delete table inet %s\n", table);
        r = hold_nftables_run(context, text, "remove an nftables table");
        /* Gone between the question and the deed: then that is what we wanted. */
        return r < 0 && hold_nftables_table(table) == 0 ? 0 : err_pass(r);
}

int hold_nftables_clear(void) {
        return err_pass(table_delete(HOLD_NFT_TABLE));
}

static bool is_hold(const char *name, const void *what) {
        return strcmp(name, HOLD_NFT_TABLE) == 0 || starts_with(name, HOLD_NFT_GUARD);
}

/* Elements in one of the sets. In nft's listing the concatenations, of elements and of the type line alone,
 * have " . " three times. */
static int count(struct nft_ctx *context, const char *table, const char *set, size_t *ret) {
        char text[NFT_NAME_MAXLEN + 64];
        size_t dots = 0;
        int r;

        snprintf(text, sizeof text, "list set inet %s %s\n", table, set);
        r = hold_nftables_run(context, text, "count the held connections");
        if (r < 0)
                return r;
        for (const char *p = nft_ctx_get_output_buffer(context); p && (p = strstr(p, " . ")); p += 3)
                dots++;
        *ret = dots >= 3 ? dots / 3 - 1 : 0;
        return 0;
}

int hold_nftables_present(size_t *ret_n) {
        _cleanup_(hold_nftables_context_freep) struct nft_ctx *context = NULL;
        Search search = {.wanted = is_hold};
        size_t most = 0;
        int r;

        r = tables_find(&search);
        if (r == 0 && search.n > 0)
                r = hold_nftables_context(&context);
        for (size_t i = 0; r == 0 && i < search.n; i++) {
                size_t v4 = 0, v6 = 0;

                /* A table of our name without our sets is still a hold to clear; it holds nothing. */
                if (count(context, search.names[i], "held4", &v4) == 0 &&
                    count(context, search.names[i], "held6", &v6) == 0 && v4 + v6 > most)
                        most = v4 + v6;
        }
        free(search.names);
        if (r < 0)
                return err_pass(r);
        *ret_n = most;
        return search.n > 0;
}

int hold_remove_criu_table(uint32_t root_pid) {
        char table[32];
        int r;

        snprintf(table, sizeof table, "CRIU-%" PRIu32, root_pid);
        r = table_delete(table);
        return r == -EOPNOTSUPP ? 0 : err_pass(r);
}

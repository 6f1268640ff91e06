/* SPDX-License-Identifier: GPL-2.0-or-later */

/*
 * Sockets by sock_diag, one dump per family and protocol. CRIU asks the same way, so a kernel that cannot
 * answer (the
 * *_diag modules went with a package upgrade) is one on which CRIU fails too: that is a finding for
 * preflight and no error here.
 */

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/err.h"
#include "base/fd.h"
#include "model/members.h"
#include "model/model.h"
#include "sys/netlink-talk.h"
#include "sys/procfs-internal.h"

#include <fcntl.h>
#include <inttypes.h>
#include <linux/inet_diag.h>
#include <linux/packet_diag.h>
#include <linux/sock_diag.h>
#include <linux/unix_diag.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <netlink/msg.h>
#include <netlink/netlink.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>

/* Sockets are kept by their inodes: how many others have is theirs to choose. */
typedef struct Inodes {
        uint64_t *list;
        size_t n;
} Inodes;

#define BOTH_DIRECTIONS 3u /* RCV_SHUTDOWN | SEND_SHUTDOWN, as UNIX_DIAG_SHUTDOWN shows them */
#define KERNEL_MINOR    20 /* bits of the minor number in the kernel's own dev_t */

typedef struct Diag {
        Snapshot *s;
        const Mounts *mounts;
        const Inodes *wanted;
        bool peers; /* those of the wanted as well, where the peer says so */
        int protocol;
        SocketBounds bounds;
        int r;
} Diag;

static void inodes_done(Inodes *inodes) {
        free(inodes->list);
}

static int by_inode(const void *a, const void *b) {
        uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

        return x < y ? -1 : x > y;
}

static void inodes_sort(Inodes *inodes) {
        if (inodes->n > 0)
                qsort(inodes->list, inodes->n, sizeof *inodes->list, by_inode);
}

static bool inodes_have(const Inodes *inodes, uint64_t ino) {
        return inodes->n > 0 && bsearch(&ino, inodes->list, inodes->n, sizeof ino, by_inode);
}

static int inodes_open(const Snapshot *s, Inodes *ret) {
        size_t n = 0, at = 0;
        uint64_t *list;

        for (size_t i = 0; i < s->n_processes; i++)
                n += s->processes[i].n_fds;
        list = calloc(n + 1, sizeof *list);
        if (!list)
                return -ENOMEM;
        for (size_t i = 0; i < s->n_processes; i++)
                for (size_t k = 0; k < s->processes[i].n_fds; k++)
                        if (S_ISSOCK(s->processes[i].fds[k].mode))
                                list[at++] = s->processes[i].fds[k].ino;
        *ret = (Inodes){list, at};
        inodes_sort(ret);
        return 0;
}

/* Peers that do not name us as theirs: of datagram sockets, /dev/log. */
static int inodes_missing(const Snapshot *s, const Inodes *kept, Inodes *ret) {
        _cleanup_(inodes_done) Inodes known = {calloc(s->n_unixes + 1, sizeof *known.list), 0};
        uint64_t *list = calloc(s->n_unixes + 1, sizeof *list);
        size_t n = 0;

        if (!list || !known.list) {
                free(list);
                return -ENOMEM;
        }
        for (size_t i = 0; i < s->n_unixes; i++)
                known.list[known.n++] = s->unixes[i].ino;
        inodes_sort(&known);
        for (size_t i = 0; i < s->n_unixes; i++)
                if (s->unixes[i].peer && inodes_have(kept, s->unixes[i].ino) &&
                    !inodes_have(&known, s->unixes[i].peer))
                        list[n++] = s->unixes[i].peer;
        *ret = (Inodes){list, n};
        inodes_sort(ret);
        return 0;
}

/* Grows by doubling: a machine with 100,000 sockets is rare, and must not cost 100,000 reallocations. */
#define DIAG_APPEND(array, count, value)                                                                    \
        (((count) & ((count)-1)) == 0 && !diag_grow((void **)&(array), (count), sizeof *(array))            \
                         ? -ENOMEM                                                                          \
                         : ((array)[(count)++] = (value), 0))

static bool diag_grow(void **array, size_t count, size_t size) {
        void *grown = reallocarray(*array, count ? count * 2 : 1, size);

        if (grown)
                *array = grown;
        return grown;
}

/* How many sockets others have, and how long the kernel takes to list them, is theirs to choose, and no
 * reason to carry nobody. */
static bool is_late(Diag *d) {
        if (now_monotonic() < d->bounds.deadline)
                return false;
        d->s->sockets_late = d->s->ports_unknown = true;
        return true;
}

static int unix_name(const struct nlattr *name, char **ret) {
        size_t l = (size_t)nla_len(name);
        const char *p = nla_data(name);
        char *text;

        if (l == 0)
                return 0;
        text = strndup(p, l);
        if (!text)
                return -ENOMEM;
        if (!p[0]) { /* abstract: a NUL, then any bytes */
                free(text);
                text = malloc(l + 1);
                if (!text)
                        return -ENOMEM;
                memcpy(text, p, l);
                for (size_t i = 0; i < l; i++)
                        if (!text[i])
                                text[i] = '@';
                text[l] = '\0';
        }
        *ret = text;
        return 0;
}

static int on_unix(struct nl_msg *msg, void *userdata) {
        struct nlmsghdr *h = nlmsg_hdr(msg);
        const struct unix_diag_msg *m = nlmsg_data(h);
        struct nlattr *a[UNIX_DIAG_MAX + 1];
        Diag *d = userdata;
        SnapUnix u = {0};

        if (is_late(d))
                return NL_STOP;
        if (nlmsg_parse(h, sizeof *m, a, UNIX_DIAG_MAX, NULL) < 0)
                return NL_SKIP;
        u.ino = m->udiag_ino;
        u.type = m->udiag_type;
        u.state = m->udiag_state;
        if (a[UNIX_DIAG_PEER])
                u.peer = nla_get_u32(a[UNIX_DIAG_PEER]);
        if (!inodes_have(d->wanted, u.ino) &&
            !(d->peers && d->s->n_unixes < d->bounds.most && inodes_have(d->wanted, u.peer)))
                return NL_SKIP;
        if (u.state == TCP_ESTABLISHED && u.peer == 0 && a[UNIX_DIAG_SHUTDOWN])
                u.dead_peer = nla_get_u8(a[UNIX_DIAG_SHUTDOWN]) == BOTH_DIRECTIONS;
        d->r = a[UNIX_DIAG_NAME] ? unix_name(a[UNIX_DIAG_NAME], &u.path) : 0;
        if (a[UNIX_DIAG_VFS] && nla_len(a[UNIX_DIAG_VFS]) >= (int)sizeof(struct unix_diag_vfs)) {
                const struct unix_diag_vfs *v = nla_data(a[UNIX_DIAG_VFS]);
                const MountLine *mount = mounts_by_device(d->mounts, v->udiag_vfs_dev >> KERNEL_MINOR,
                                                          v->udiag_vfs_dev & ((1u << KERNEL_MINOR) - 1));

                u.is_volatile = u.path && mount_forgets(mount, u.path);
        }
        if (d->r >= 0)
                d->r = DIAG_APPEND(d->s->unixes, d->s->n_unixes, u);
        if (d->r < 0)
                free(u.path);
        return d->r < 0 ? NL_STOP : NL_OK;
}

/* Time-wait and the like are nobody's any more, or nobody's yet. */
static bool waits_at_port(const struct inet_diag_msg *m, int protocol) {
        return m->id.idiag_sport != 0 && (protocol == IPPROTO_UDP || m->idiag_state == TCP_LISTEN);
}

static bool is_noted(Diag *d, const struct inet_diag_msg *m) {
        if (inodes_have(d->wanted, m->idiag_inode))
                return true;
        if (!waits_at_port(m, d->protocol))
                return false;
        if (d->s->n_inets >= d->bounds.most)
                d->s->ports_unknown = true;
        return d->s->n_inets < d->bounds.most;
}

static int on_inet(struct nl_msg *msg, void *userdata) {
        struct nlmsghdr *h = nlmsg_hdr(msg);
        const struct inet_diag_msg *m = nlmsg_data(h);
        Diag *d = userdata;
        size_t l = m->idiag_family == AF_INET ? 4 : 16;
        SnapInet i = {0};

        if (is_late(d))
                return NL_STOP;
        if (!nlmsg_valid_hdr(h, sizeof *m) || m->idiag_inode == 0 || !is_noted(d, m))
                return NL_SKIP;
        i.ino = m->idiag_inode;
        i.family = m->idiag_family;
        i.protocol = d->protocol;
        i.state = m->idiag_state;
        memcpy(i.local, m->id.idiag_src, l);
        memcpy(i.remote, m->id.idiag_dst, l);
        i.local_port = ntohs(m->id.idiag_sport);
        i.remote_port = ntohs(m->id.idiag_dport);
        i.rqueue = m->idiag_rqueue;
        d->r = DIAG_APPEND(d->s->inets, d->s->n_inets, i);
        return d->r < 0 ? NL_STOP : NL_OK;
}

static void nl_socket_freep(struct nl_sock **sock) {
        if (*sock)
                nl_socket_free(*sock);
}

/* A socket of its own for each dump: one that was stopped half-way has answers left in it. */
static int dump(Diag *d, nl_recvmsg_msg_cb_t callback, const void *request, size_t size) {
        _cleanup_(nl_socket_freep) struct nl_sock *sock = nl_socket_alloc();
        int r;

        if (!sock)
                return -ENOMEM;
        d->r = 0;
        nl_socket_disable_auto_ack(sock);
        r = nl_connect(sock, NETLINK_SOCK_DIAG);
        if (r < 0)
                return err_say(-EIO, "cannot open a sock_diag socket: %s", nl_geterror(r));
        (void)nl_socket_modify_cb(sock, NL_CB_VALID, NL_CB_CUSTOM, callback, d);
        r = nl_send_simple(sock, SOCK_DIAG_BY_FAMILY, NLM_F_DUMP, (void *)(uintptr_t)request, size);
        if (r >= 0)
                r = nl_recvmsgs_default(sock);
        if (d->r < 0)
                return err_pass(d->r);
        if (r == -NLE_OBJ_NOTFOUND || r == -NLE_OPNOTSUPP || r == -NLE_INVAL || r == -NLE_PROTO_MISMATCH) {
                d->s->no_diag = true;
                return 0;
        }
        if (r == -NLE_DUMP_INTR)
                return 0; /* the list changed under us: as good as a moment later */
        return r < 0 ? err_say(-EIO, "cannot list sockets: %s", nl_geterror(r)) : 0;
}

static int dump_unix(Diag *d) {
        struct unix_diag_req request = {
                        .sdiag_family = AF_UNIX,
                        .udiag_states = ~0u,
                        .udiag_show = UDIAG_SHOW_NAME | UDIAG_SHOW_VFS | UDIAG_SHOW_PEER,
        };

        _cleanup_(inodes_done) Inodes missing = {0};
        const Inodes *wanted = d->wanted;
        int r;

        d->peers = true;
        r = dump(d, on_unix, &request, sizeof request);
        if (r >= 0)
                r = inodes_missing(d->s, wanted, &missing);
        if (r < 0 || missing.n == 0)
                return err_pass(r);
        d->peers = false;
        d->wanted = &missing;
        r = dump(d, on_unix, &request, sizeof request);
        d->wanted = wanted;
        return err_pass(r);
}

static int dump_inet(Diag *d, int family, int protocol) {
        struct inet_diag_req_v2 request = {
                        .sdiag_family = (uint8_t)family,
                        .sdiag_protocol = (uint8_t)protocol,
                        .idiag_states = ~0u,
        };

        d->protocol = protocol;
        return err_pass(dump(d, on_inet, &request, sizeof request));
}

typedef struct Unread {
        uint64_t ino;
        uint32_t bytes;
} Unread;

static int by_unread(const void *a, const void *b) {
        return by_inode(&((const Unread *)a)->ino, &((const Unread *)b)->ino);
}

/* /proc/net/netlink: sk, protocol, port, groups, bytes unread, written, dump, locks, drops, inode. */
static int netlink_list(const Inodes *wanted, Unread **ret, size_t *ret_n) {
        _cleanup_(freep) char *text = NULL;
        char *state, *line;
        Unread u;

        if (file_slurp(AT_FDCWD, "/proc/thread-self/net/netlink", 64u << 20, &text, NULL) < 0)
                return 0;
        for (line = strtok_r(text, "\n", &state); line; line = strtok_r(NULL, "\n", &state))
                if (sscanf(line, "%*s %*u %*d %*x %" SCNu32 " %*u %*u %*u %*u %" SCNu64, &u.bytes, &u.ino) ==
                                    2 &&
                    u.bytes > 0 && inodes_have(wanted, u.ino) && model_append(*ret, *ret_n, u) < 0)
                        return -ENOMEM;
        return 0;
}

static int netlink_unread(const Inodes *wanted, Snapshot *s) {
        _cleanup_(freep) Unread *list = NULL;
        size_t n = 0;
        int r;

        r = netlink_list(wanted, &list, &n);
        if (r < 0 || n == 0)
                return r;
        qsort(list, n, sizeof *list, by_unread);
        for (size_t i = 0; i < s->n_processes; i++)
                for (size_t k = 0; k < s->processes[i].n_fds; k++) {
                        SnapFd *f = s->processes[i].fds + k;
                        const Unread key = {f->ino, 0}, *found = NULL;

                        if (f->kind == FD_NETLINK)
                                found = bsearch(&key, list, n, sizeof key, by_unread);
                        if (found)
                                f->unread = found->bytes;
                }
        return 0;
}

static bool is_of_any_interface(struct nlattr **a) {
        const struct packet_diag_info *info;
        const struct packet_diag_mclist *member;

        if (!a[PACKET_DIAG_INFO] || nla_len(a[PACKET_DIAG_INFO]) < (int)sizeof *info ||
            !a[PACKET_DIAG_MCLIST])
                return false;
        info = nla_data(a[PACKET_DIAG_INFO]);
        member = nla_data(a[PACKET_DIAG_MCLIST]);
        for (size_t i = 0; i < (size_t)nla_len(a[PACKET_DIAG_MCLIST]) / sizeof *member; i++)
                if (member[i].pdmc_index != 0)
                        return false;
        return info->pdi_index == 0;
}

static int on_packet(struct nl_msg *msg, void *userdata) {
        struct nlmsghdr *h = nlmsg_hdr(msg);
        const struct packet_diag_msg *m = nlmsg_data(h);
        struct nlattr *a[PACKET_DIAG_MAX + 1];
        Diag *d = userdata;

        if (nlmsg_parse(h, sizeof *m, a, PACKET_DIAG_MAX, NULL) < 0 || !is_of_any_interface(a))
                return NL_SKIP;
        for (size_t i = 0; i < d->s->n_processes; i++)
                for (size_t k = 0; k < d->s->processes[i].n_fds; k++) {
                        SnapFd *f = d->s->processes[i].fds + k;

                        if (f->kind == FD_PACKET && f->ino == m->pdiag_ino)
                                f->any_interface = true;
                }
        return NL_OK;
}

static bool has_packet_sockets(const Snapshot *s) {
        for (size_t i = 0; i < s->n_processes; i++)
                for (size_t k = 0; k < s->processes[i].n_fds; k++)
                        if (s->processes[i].fds[k].kind == FD_PACKET)
                                return true;
        return false;
}

/* Only where there is one: the kernel loads a module for it. */
static int dump_packet(Diag *d) {
        struct packet_diag_req request = {
                        .sdiag_family = AF_PACKET,
                        .pdiag_show = PACKET_SHOW_INFO | PACKET_SHOW_MCLIST,
        };

        return has_packet_sockets(d->s) ? err_pass(dump(d, on_packet, &request, sizeof request)) : 0;
}

static bool is_own(const Held *held, size_t n, const SnapInet *i) {
        ProtobufCBinaryData remote = {.len = i->family == AF_INET ? 4 : 16, .data = (uint8_t *)i->remote};
        IpAddress a;

        return ip_from(remote, &a) && (ip_is_loopback(&a) || held_find(held, n, &a));
}

static int find_own(Snapshot *s) {
        _cleanup_(freep) Held *held = NULL;
        size_t n;
        int r = held_list(&held, &n);

        if (r < 0)
                return err_pass(r);
        for (size_t k = 0; k < s->n_inets; k++)
                s->inets[k].to_self = members_is_connected(s->inets + k) && is_own(held, n, s->inets + k);
        return 0;
}

/* Where it cannot be read it is as the kernel has it when nobody has changed it. */
static void find_questions(Snapshot *s) {
        _cleanup_(freep) char *text = NULL;
        unsigned low = 32768, high = 60999;

        if (file_slurp(AT_FDCWD, "/proc/sys/net/ipv4/ip_local_port_range", 64, &text, NULL) >= 0)
                (void)sscanf(text, "%5u %5u", &low, &high);
        s->questions[0] = (uint16_t)low;
        s->questions[1] = (uint16_t)high;
}

int procfs_sockets(const Mounts *mounts, SocketBounds bounds, Snapshot *s) {
        static const int families[] = {AF_INET, AF_INET6}, protocols[] = {IPPROTO_TCP, IPPROTO_UDP};
        _cleanup_(inodes_done) Inodes wanted = {0};
        Diag d = {.s = s, .mounts = mounts, .wanted = &wanted, .bounds = bounds};
        int r = inodes_open(s, &wanted);

        find_questions(s);
        if (r >= 0)
                r = dump_unix(&d);

        for (size_t f = 0; f < ELEMENTS(families); f++)
                for (size_t p = 0; r >= 0 && p < ELEMENTS(protocols); p++)
                        r = dump_inet(&d, families[f], protocols[p]);
        if (r >= 0)
                r = find_own(s);
        if (r >= 0)
                r = dump_packet(&d);
        return r < 0 ? err_pass(r) : netlink_unread(&wanted, s);
}

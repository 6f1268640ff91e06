/* SPDX-License-Identifier: GPL-2.0-or-later */

/*
 * Sockets by sock_diag, one dump per family and protocol. CRIU asks the same way, so a kernel that cannot
 * answer (the *_diag modules went with a package upgrade) is one on which CRIU fails too: that is a finding
 * for preflight and no error here.
 */

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/err.h"
#include "base/fd.h"
#include "model/members.h"
#include "model/model.h"
#include "netlink/address.h"
#include "netlink/diag.h"
#include "proc/internal.h"

#include <fcntl.h>
#include <inttypes.h>
#include <linux/inet_diag.h>
#include <linux/netlink.h>
#include <linux/packet_diag.h>
#include <linux/sock_diag.h>
#include <linux/unix_diag.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
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

static int unix_name(DiagAttribute name, char **ret) {
        const char *p = name.data;
        size_t l = name.size;
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

/* How far a socket's ends are shut down, if the answer says so. */
static uint8_t shutdown_of(DiagAttribute a) {
        return a.size >= 1 ? *(const uint8_t *)a.data : 0;
}

static bool is_volatile_name(const Mounts *mounts, DiagAttribute a, const char *path) {
        struct unix_diag_vfs v;

        if (!path || a.size < sizeof v)
                return false;
        memcpy(&v, a.data, sizeof v);
        return mount_forgets(mounts_by_device(mounts, v.udiag_vfs_dev >> KERNEL_MINOR,
                                              v.udiag_vfs_dev & ((1u << KERNEL_MINOR) - 1)),
                             path);
}

static int on_unix(const void *body, const DiagAttribute a[static DIAG_ATTRIBUTES], void *userdata) {
        const struct unix_diag_msg *m = body;
        Diag *d = userdata;
        SnapUnix u = {.ino = m->udiag_ino, .type = m->udiag_type, .state = m->udiag_state};
        int r = 0;

        if (is_late(d))
                return 1;
        if (a[UNIX_DIAG_PEER].size >= sizeof(uint32_t))
                memcpy(&u.peer, a[UNIX_DIAG_PEER].data, sizeof(uint32_t));
        if (!inodes_have(d->wanted, u.ino) &&
            !(d->peers && d->s->n_unixes < d->bounds.most && inodes_have(d->wanted, u.peer)))
                return 0;
        if (u.state == TCP_ESTABLISHED && u.peer == 0)
                u.dead_peer = shutdown_of(a[UNIX_DIAG_SHUTDOWN]) == BOTH_DIRECTIONS;
        if (a[UNIX_DIAG_NAME].data)
                r = unix_name(a[UNIX_DIAG_NAME], &u.path);
        u.is_volatile = is_volatile_name(d->mounts, a[UNIX_DIAG_VFS], u.path);
        if (r >= 0)
                r = DIAG_APPEND(d->s->unixes, d->s->n_unixes, u);
        if (r < 0)
                free(u.path);
        return r;
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

/* What stands between a connection and its program: INET_ULP_INFO_NAME in the nest of INET_DIAG_ULP_INFO. */
static void ulp_name(DiagAttribute a, char ret[static SNAP_ULP_MAX]) {
        struct nlattr head;

        for (size_t at = 0; at + sizeof head <= a.size; at += NLA_ALIGN(head.nla_len)) {
                const char *name = (const char *)a.data + at + sizeof head;
                size_t length;

                memcpy(&head, (const char *)a.data + at, sizeof head);
                if (head.nla_len < sizeof head || head.nla_len > a.size - at)
                        return;
                if ((head.nla_type & NLA_TYPE_MASK) != INET_ULP_INFO_NAME)
                        continue;
                length = strnlen(name, head.nla_len - sizeof head);
                if (length >= SNAP_ULP_MAX)
                        length = SNAP_ULP_MAX - 1;
                memcpy(ret, name, length);
                ret[length] = '\0';
        }
}

static int on_inet(const void *body, const DiagAttribute a[static DIAG_ATTRIBUTES], void *userdata) {
        const struct inet_diag_msg *m = body;
        Diag *d = userdata;
        size_t l = m->idiag_family == AF_INET ? 4 : 16;
        SnapInet i = {0};

        if (is_late(d))
                return 1;
        if (m->idiag_inode == 0 || !is_noted(d, m))
                return 0;
        i.ino = m->idiag_inode;
        i.family = m->idiag_family;
        i.protocol = d->protocol;
        i.state = m->idiag_state;
        memcpy(i.local, m->id.idiag_src, l);
        memcpy(i.remote, m->id.idiag_dst, l);
        i.local_port = ntohs(m->id.idiag_sport);
        i.remote_port = ntohs(m->id.idiag_dport);
        i.rqueue = m->idiag_rqueue;
        i.is_signed = a[INET_DIAG_MD5SIG].size > 0;
        ulp_name(a[INET_DIAG_ULP_INFO], i.ulp);
        return DIAG_APPEND(d->s->inets, d->s->n_inets, i);
}

static int dump(Diag *d, DiagDump dump) {
        int r;

        dump.userdata = d;
        r = diag_dump(&dump);
        if (r > 0)
                d->s->no_diag = true;
        return r < 0 ? err_pass(r) : 0;
}

static int dump_unix(Diag *d) {
        struct unix_diag_req request = {
                        .sdiag_family = AF_UNIX,
                        .udiag_states = ~0u,
                        .udiag_show = UDIAG_SHOW_NAME | UDIAG_SHOW_VFS | UDIAG_SHOW_PEER,
        };

        const DiagDump unixes = {&request, sizeof request, sizeof(struct unix_diag_msg), on_unix, NULL};
        _cleanup_(inodes_done) Inodes missing = {0};
        const Inodes *wanted = d->wanted;
        int r;

        d->peers = true;
        r = dump(d, unixes);
        if (r >= 0)
                r = inodes_missing(d->s, wanted, &missing);
        if (r < 0 || missing.n == 0)
                return err_pass(r);
        d->peers = false;
        d->wanted = &missing;
        r = dump(d, unixes);
        d->wanted = wanted;
        return err_pass(r);
}

static int dump_inet(Diag *d, int family, int protocol) {
        struct inet_diag_req_v2 request = {
                        .sdiag_family = (uint8_t)family,
                        .sdiag_protocol = (uint8_t)protocol,
                        .idiag_states = ~0u,
        };

        if (protocol == IPPROTO_TCP) /* only along with this, and only root, is told what is above TCP */
                request.idiag_ext = 1u << (INET_DIAG_INFO - 1);
        d->protocol = protocol;
        return err_pass(dump(d, (DiagDump){&request, sizeof request, sizeof(struct inet_diag_msg), on_inet,
                                           NULL}));
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

static bool is_of_any_interface(const DiagAttribute a[static DIAG_ATTRIBUTES]) {
        DiagAttribute members = a[PACKET_DIAG_MCLIST];
        struct packet_diag_info info;
        struct packet_diag_mclist member;

        if (a[PACKET_DIAG_INFO].size < sizeof info || !members.data)
                return false;
        memcpy(&info, a[PACKET_DIAG_INFO].data, sizeof info);
        for (size_t at = 0; at + sizeof member <= members.size; at += sizeof member) {
                memcpy(&member, (const char *)members.data + at, sizeof member);
                if (member.pdmc_index != 0)
                        return false;
        }
        return info.pdi_index == 0;
}

static int on_packet(const void *body, const DiagAttribute a[static DIAG_ATTRIBUTES], void *userdata) {
        const struct packet_diag_msg *m = body;
        Diag *d = userdata;

        if (!is_of_any_interface(a))
                return 0;
        for (size_t i = 0; i < d->s->n_processes; i++)
                for (size_t k = 0; k < d->s->processes[i].n_fds; k++) {
                        SnapFd *f = d->s->processes[i].fds + k;

                        if (f->kind == FD_PACKET && f->ino == m->pdiag_ino)
                                f->any_interface = true;
                }
        return 0;
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

        if (!has_packet_sockets(d->s))
                return 0;
        return err_pass(dump(d, (DiagDump){&request, sizeof request, sizeof(struct packet_diag_msg),
                                           on_packet, NULL}));
}

static bool is_own(const OwnAddress *own, size_t n, const SnapInet *i) {
        ProtobufCBinaryData remote = {.len = i->family == AF_INET ? 4 : 16, .data = (uint8_t *)i->remote};
        IpAddress a;

        return ip_from(remote, &a) && (ip_is_loopback(&a) || address_own_find(own, n, &a));
}

static int find_own(Snapshot *s) {
        _cleanup_(freep) OwnAddress *own = NULL;
        size_t n;
        int r = address_own_list(&own, &n);

        if (r < 0)
                return err_pass(r);
        for (size_t k = 0; k < s->n_inets; k++)
                s->inets[k].to_self = members_is_connected(s->inets + k) && is_own(own, n, s->inets + k);
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

/* SPDX-License-Identifier: GPL-2.0-or-later */

/*
 * Connection tracking by ctnetlink: libmnl carries the messages, libnetfilter_conntrack knows what is
 * inside.
 *
 * An entry has two tuples: how the first packet looked, and how the kernel expects the answers to look. With
 * NAT the second is not the first turned round. The kernel hashes both, so one question for "our socket's
 * address to the peer's" finds the entry whoever began, and the entry's other tuple is what arrives from
 * outside.
 *
 * An entry with NAT cannot be put back as it was read: the kernel wants the tuples without NAT and the
 * mapping beside them, and makes the second tuple from that. What it has learnt about TCP windows cannot be
 * given back at all, so both directions are marked as it marks connections that it has picked up in the
 * middle.
 */

#include "netfilter/conntrack.h"

#include "base/cleanup.h"
#include "base/err.h"
#include "netfilter/internal.h"

#include <errno.h>
#include <libmnl/libmnl.h>
#include <libnetfilter_conntrack/libnetfilter_conntrack.h>
#include <libnetfilter_conntrack/libnetfilter_conntrack_tcp.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netfilter/nfnetlink_conntrack.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Seconds that an entry lives at least without a packet. The first packet after the hold sets the kernel's
 * own timeout; until then a slow boot (a file system check) must not outlive it. */
#define TIMEOUT_MIN 3600u

/* A message with one entry is below 1 KiB; labels and helpers included. */
#define MESSAGE_MAX 8192u
typedef uint8_t MessageBuffer[MESSAGE_MAX] __attribute__((aligned(NLMSG_ALIGNTO)));

/* Never changes an entry that is there. */
#define CREATION_FLAGS (NLM_F_CREATE | NLM_F_EXCL)

/* Exists in every namespace as soon as nf_conntrack is there, and only then. */
#define CONNTRACK_HERE "/proc/sys/net/netfilter/nf_conntrack_count"

typedef struct nf_conntrack Entry;

DEFINE_CLEANUP(Entry *, nfct_destroy)
DEFINE_CLEANUP(struct mnl_socket *, mnl_socket_close)

static int door_open(struct mnl_socket **ret) {
        _cleanup_(mnl_socket_closep) struct mnl_socket *door =
                        mnl_socket_open2(NETLINK_NETFILTER, SOCK_CLOEXEC);

        if (!door || mnl_socket_bind(door, 0, MNL_SOCKET_AUTOPID) < 0)
                return err_born(-errno, "cannot request the tracked connections");
        *ret = TAKE(door);
        return 0;
}

static struct nlmsghdr *message_begin(void *buffer, uint16_t type, uint16_t flags, uint8_t family) {
        struct nlmsghdr *message = mnl_nlmsg_put_header(buffer);
        struct nfgenmsg *head;

        message->nlmsg_type = (uint16_t)(NFNL_SUBSYS_CTNETLINK << 8 | type);
        message->nlmsg_flags = NLM_F_REQUEST | NLM_F_ACK | flags;
        message->nlmsg_seq = 1;
        head = mnl_nlmsg_put_extra_header(message, sizeof *head);
        head->nfgen_family = family;
        head->version = NFNETLINK_V0;
        return message;
}

static int keep_message(const struct nlmsghdr *message, void *userdata) {
        ProtobufCBinaryData *kept = userdata;

        if (model_set_bytes(kept, message, message->nlmsg_len) < 0) {
                errno = ENOMEM;
                return MNL_CB_ERROR;
        }
        return MNL_CB_OK;
}

/* One request up to its acknowledgement. `answer` (may be NULL) gets a data message, if there is one. The
 * kernel's errno comes back bare. */
static int talk(struct mnl_socket *door, const struct nlmsghdr *message, ProtobufCBinaryData *answer) {
        MessageBuffer buffer;
        ssize_t n;
        int r = MNL_CB_OK;

        if (mnl_socket_sendto(door, message, message->nlmsg_len) < 0)
                return -errno;
        while (r == MNL_CB_OK) {
                n = mnl_socket_recvfrom(door, buffer, sizeof buffer);
                if (n < 0)
                        return -errno;
                r = mnl_cb_run(buffer, (size_t)n, message->nlmsg_seq, mnl_socket_get_portid(door),
                               answer ? keep_message : NULL, answer);
                if (r == MNL_CB_ERROR)
                        r = -errno;
        }
        return r;
}

typedef struct Tuple {
        const uint8_t *source, *destination;
        uint16_t source_port, destination_port;
} Tuple;

static bool has_tuples(const Entry *e) {
        uint8_t family = nfct_get_attr_u8(e, ATTR_ORIG_L3PROTO);
        bool v4 = family == AF_INET;

        return (v4 || family == AF_INET6) && nfct_get_attr_u8(e, ATTR_ORIG_L4PROTO) == IPPROTO_TCP &&
               nfct_attr_grp_is_set(e, v4 ? ATTR_GRP_ORIG_IPV4 : ATTR_GRP_ORIG_IPV6) > 0 &&
               nfct_attr_grp_is_set(e, v4 ? ATTR_GRP_REPL_IPV4 : ATTR_GRP_REPL_IPV6) > 0 &&
               nfct_attr_grp_is_set(e, ATTR_GRP_ORIG_PORT) > 0 &&
               nfct_attr_grp_is_set(e, ATTR_GRP_REPL_PORT) > 0;
}

/* What the kernel has answered. */
static int answer_parse(const ProtobufCBinaryData *answer, Entry **ret) {
        _cleanup_(nfct_destroyp) Entry *entry = nfct_new();

        if (!entry)
                return -ENOMEM;
        if (nfct_nlmsg_parse((const struct nlmsghdr *)answer->data, entry) < 0 || !has_tuples(entry))
                return err_say(-EPROTO, "cannot read the kernel's answer about a tracked connection");
        *ret = TAKE(entry);
        return 0;
}

/* 1 and the entry, or 0 if there is none that has this tuple. */
static int look_up(struct mnl_socket *door, uint8_t family, const Tuple *t, Entry **ret) {
        _cleanup_(nfct_destroyp) Entry *entry = nfct_new();
        ProtobufCBinaryData answer = {0};
        MessageBuffer buffer;
        struct nlmsghdr *message = message_begin(buffer, IPCTNL_MSG_CT_GET, 0, family);
        bool v4 = family == AF_INET;
        int r;

        if (!entry)
                return -ENOMEM;
        nfct_set_attr_u8(entry, ATTR_L3PROTO, family);
        nfct_set_attr_u8(entry, ATTR_L4PROTO, IPPROTO_TCP);
        nfct_set_attr(entry, v4 ? ATTR_IPV4_SRC : ATTR_IPV6_SRC, t->source);
        nfct_set_attr(entry, v4 ? ATTR_IPV4_DST : ATTR_IPV6_DST, t->destination);
        nfct_set_attr_u16(entry, ATTR_PORT_SRC, htons(t->source_port));
        nfct_set_attr_u16(entry, ATTR_PORT_DST, htons(t->destination_port));
        if (nfct_nlmsg_build(message, entry) < 0)
                return err_born(-errno, "cannot request a tracked connection");
        r = talk(door, message, &answer);
        if (r < 0 && r != -ENOENT)
                err_born(r, "cannot request a tracked connection");
        else if (answer.len > 0) {
                r = answer_parse(&answer, ret);
                r = r < 0 ? r : 1;
        } else
                r = 0;
        free(answer.data);
        return r;
}

/* The entry of one connection: by what our socket sends, or by what it gets, if NAT changes both. */
static int find(struct mnl_socket *door, uint8_t family, const HoldPair *p, Entry **ret) {
        const Tuple out = {p->local, p->remote, p->local_port, p->remote_port};
        const Tuple in = {p->remote, p->local, p->remote_port, p->local_port};
        int r = look_up(door, family, &out, ret);

        return r == 0 ? look_up(door, family, &in, ret) : r;
}

static bool is_tracking(void) {
        return access(CONNTRACK_HERE, F_OK) == 0;
}

static const void *address_of(const Entry *e, bool v4, enum nf_conntrack_attr v4_attr,
                              enum nf_conntrack_attr v6_attr) {
        return nfct_get_attr(e, v4 ? v4_attr : v6_attr);
}

/* Takes NAT out of the reply tuple and puts it beside, as the kernel wants it. Ports are always named, else
 * it would choose a new one. */
static void split_nat(const Entry *saved, bool v4, Entry *e) {
        bool source = nfct_getobjopt(saved, NFCT_GOPT_IS_SNAT) || nfct_getobjopt(saved, NFCT_GOPT_IS_SPAT);
        bool destination =
                        nfct_getobjopt(saved, NFCT_GOPT_IS_DNAT) || nfct_getobjopt(saved, NFCT_GOPT_IS_DPAT);

        nfct_setobjopt(e, NFCT_SOPT_SETUP_REPLY);
        if (source) {
                nfct_set_attr(e, v4 ? ATTR_SNAT_IPV4 : ATTR_SNAT_IPV6,
                              address_of(saved, v4, ATTR_REPL_IPV4_DST, ATTR_REPL_IPV6_DST));
                nfct_set_attr_u16(e, ATTR_SNAT_PORT, nfct_get_attr_u16(saved, ATTR_REPL_PORT_DST));
        }
        if (destination) {
                nfct_set_attr(e, v4 ? ATTR_DNAT_IPV4 : ATTR_DNAT_IPV6,
                              address_of(saved, v4, ATTR_REPL_IPV4_SRC, ATTR_REPL_IPV6_SRC));
                nfct_set_attr_u16(e, ATTR_DNAT_PORT, nfct_get_attr_u16(saved, ATTR_REPL_PORT_SRC));
        }
}

static void copy_if_set(Entry *to, const Entry *from, enum nf_conntrack_attr attribute) {
        if (nfct_attr_is_set(from, attribute) > 0)
                nfct_copy_attr(to, from, attribute);
}

/* The message that creates the entry anew; *ret is to be freed. */
static int creation_make(const Entry *saved, ProtobufCBinaryData *ret) {
        static const enum nf_conntrack_attr as_it_was[] = {
                        ATTR_ORIG_L3PROTO,  ATTR_ORIG_L4PROTO,    ATTR_ORIG_IPV4_SRC,   ATTR_ORIG_IPV4_DST,
                        ATTR_ORIG_IPV6_SRC, ATTR_ORIG_IPV6_DST,   ATTR_ORIG_PORT_SRC,   ATTR_ORIG_PORT_DST,
                        ATTR_TCP_STATE,     ATTR_TCP_WSCALE_ORIG, ATTR_TCP_WSCALE_REPL, ATTR_MARK,
                        ATTR_ZONE,
        };
        static const enum nf_conntrack_attr flags[] = {ATTR_TCP_FLAGS_ORIG, ATTR_TCP_FLAGS_REPL},
                                            masks[] = {ATTR_TCP_MASK_ORIG, ATTR_TCP_MASK_REPL};
        _cleanup_(nfct_destroyp) Entry *entry = nfct_new();
        uint8_t family = nfct_get_attr_u8(saved, ATTR_ORIG_L3PROTO);
        MessageBuffer buffer;
        struct nlmsghdr *message = message_begin(buffer, IPCTNL_MSG_CT_NEW, CREATION_FLAGS, family);
        uint32_t timeout = nfct_get_attr_u32(saved, ATTR_TIMEOUT);

        if (!entry)
                return -ENOMEM;
        for (size_t i = 0; i < ELEMENTS(as_it_was); i++)
                copy_if_set(entry, saved, as_it_was[i]);
        split_nat(saved, family == AF_INET, entry);
        for (size_t i = 0; i < ELEMENTS(flags); i++) {
                uint8_t value = nfct_get_attr_u8(saved, flags[i]) | IP_CT_TCP_FLAG_BE_LIBERAL;

                nfct_set_attr_u8(entry, flags[i], value);
                nfct_set_attr_u8(entry, masks[i], value);
        }
        nfct_set_attr_u32(entry, ATTR_TIMEOUT, timeout > TIMEOUT_MIN ? timeout : TIMEOUT_MIN);
        nfct_set_attr_u32(entry, ATTR_STATUS,
                          IPS_CONFIRMED | (nfct_get_attr_u32(saved, ATTR_STATUS) &
                                           (IPS_SEEN_REPLY | IPS_ASSURED)));
        if (nfct_nlmsg_build(message, entry) < 0)
                return err_born(-errno, "cannot save a tracked connection");
        if (model_set_bytes(ret, message, message->nlmsg_len) < 0)
                return -ENOMEM;
        return 0;
}

/* 1 and the message of one connection's entry, 0 if it has none. */
static int save_one(struct mnl_socket *door, uint8_t family, const HoldPair *p, ProtobufCBinaryData *ret) {
        _cleanup_(nfct_destroyp) Entry *entry = NULL;
        int r;

        r = find(door, family, p, &entry);
        if (r <= 0)
                return err_pass(r);
        r = creation_make(entry, ret);
        return r < 0 ? err_pass(r) : 1;
}

static int save_family(struct mnl_socket *door, uint8_t family, const HoldFamily *held, Ticket *ticket) {
        int r = 0;

        for (size_t i = 0; r >= 0 && i < held->n_pairs; i++) {
                ProtobufCBinaryData bytes = {0};

                r = save_one(door, family, &held->pairs[i], &bytes);
                if (r > 0)
                        r = model_append(ticket->conntrack, ticket->n_conntrack, bytes);
                if (r < 0)
                        free(bytes.data);
        }
        return r < 0 ? err_pass(r) : 0;
}

int conntrack_save(const HoldSet *set, Ticket *ticket) {
        _cleanup_(mnl_socket_closep) struct mnl_socket *door = NULL;
        _cleanup_(hold_list_done) HoldList list = {0};
        int r;

        if (set->n_connections == 0 || !is_tracking())
                return 0;
        r = hold_list_make(set, &list);
        if (r < 0)
                return err_pass(r);
        r = door_open(&door);
        if (r >= 0)
                r = save_family(door, AF_INET, &list.v4, ticket);
        if (r >= 0)
                r = save_family(door, AF_INET6, &list.v6, ticket);
        return r < 0 ? err_pass(r) : 0;
}

/* What arrives from outside: the tuple that does not begin at our socket. With NAT on loopback both may;
 * then the reply is it. */
static void arriving(const Entry *e, bool v4, const HoldPair *p, HoldPair *ret) {
        size_t size = v4 ? 4 : 16;
        bool orig_is_ours = memcmp(address_of(e, v4, ATTR_ORIG_IPV4_SRC, ATTR_ORIG_IPV6_SRC), p->local,
                                   size) == 0 &&
                            nfct_get_attr_u16(e, ATTR_ORIG_PORT_SRC) == htons(p->local_port);

        *ret = (HoldPair){0};
        if (orig_is_ours) {
                memcpy(ret->remote, address_of(e, v4, ATTR_REPL_IPV4_SRC, ATTR_REPL_IPV6_SRC), size);
                memcpy(ret->local, address_of(e, v4, ATTR_REPL_IPV4_DST, ATTR_REPL_IPV6_DST), size);
                ret->remote_port = ntohs(nfct_get_attr_u16(e, ATTR_REPL_PORT_SRC));
                ret->local_port = ntohs(nfct_get_attr_u16(e, ATTR_REPL_PORT_DST));
        } else {
                memcpy(ret->remote, address_of(e, v4, ATTR_ORIG_IPV4_SRC, ATTR_ORIG_IPV6_SRC), size);
                memcpy(ret->local, address_of(e, v4, ATTR_ORIG_IPV4_DST, ATTR_ORIG_IPV6_DST), size);
                ret->remote_port = ntohs(nfct_get_attr_u16(e, ATTR_ORIG_PORT_SRC));
                ret->local_port = ntohs(nfct_get_attr_u16(e, ATTR_ORIG_PORT_DST));
        }
}

static int connection_make(const HoldPair *p, bool v4, Connection **ret) {
        Connection *c = model_new(Connection, connection__init);
        size_t size = v4 ? 4 : 16;

        if (!c || model_set_bytes(&c->local, p->local, size) < 0 ||
            model_set_bytes(&c->remote, p->remote, size) < 0) {
                model_free(c);
                return -ENOMEM;
        }
        c->local_port = p->local_port;
        c->remote_port = p->remote_port;
        *ret = c;
        return 0;
}

/* 1 and the connection as it looks outside, 0 if it looks no different. */
static int wire_of(struct mnl_socket *door, bool v4, const HoldPair *p, Connection **ret) {
        _cleanup_(nfct_destroyp) Entry *entry = NULL;
        HoldPair outside;
        int r;

        r = find(door, v4 ? AF_INET : AF_INET6, p, &entry);
        if (r <= 0)
                return err_pass(r);
        arriving(entry, v4, p, &outside);
        if (memcmp(&outside, p, sizeof outside) == 0)
                return 0;
        r = connection_make(&outside, v4, ret);
        return r < 0 ? err_pass(r) : 1;
}

typedef struct Wires {
        Connection **items;
        size_t n;
} Wires;

static void wires_done(Wires *wires) {
        for (size_t i = 0; i < wires->n; i++)
                model_free(wires->items[i]);
        free(wires->items);
}

static int wires_of(struct mnl_socket *door, bool v4, const HoldFamily *held, Wires *wires) {
        int r = 0;

        for (size_t i = 0; r >= 0 && i < held->n_pairs; i++) {
                Connection *wire = NULL;

                r = wire_of(door, v4, &held->pairs[i], &wire);
                if (r > 0)
                        r = model_append(wires->items, wires->n, wire);
                if (r < 0)
                        model_free(wire);
        }
        return r < 0 ? err_pass(r) : 0;
}

int conntrack_wires(Connection *const *connections, size_t n, Connection ***ret, size_t *ret_n) {
        _cleanup_(mnl_socket_closep) struct mnl_socket *door = NULL;
        _cleanup_(hold_list_done) HoldList list = {0};
        _cleanup_(wires_done) Wires wires = {0};
        const HoldSet set = {.connections = (Connection **)connections, .n_connections = n};
        int r = 0;

        if (n > 0 && is_tracking()) {
                r = hold_list_make(&set, &list);
                if (r == 0)
                        r = door_open(&door);
        }
        if (r >= 0)
                r = wires_of(door, true, &list.v4, &wires);
        if (r >= 0)
                r = wires_of(door, false, &list.v6, &wires);
        if (r < 0)
                return err_pass(r);
        *ret_n = wires.n;
        *ret = TAKE(wires).items;
        return 0;
}

/* Is this the frame of a message as creation_make() makes them? The kernel takes its flags and its kind from
 * the frame, so those must be ours exactly. */
static int frame_check(const ProtobufCBinaryData *bytes) {
        struct nlmsghdr head;

        if (bytes->len < MNL_NLMSG_HDRLEN + sizeof(struct nfgenmsg) || bytes->len > MESSAGE_MAX)
                return err_say(-EBADMSG, "a saved tracking entry is damaged");
        memcpy(&head, bytes->data, sizeof head);
        if (head.nlmsg_len != bytes->len ||
            head.nlmsg_type != (NFNL_SUBSYS_CTNETLINK << 8 | IPCTNL_MSG_CT_NEW) ||
            head.nlmsg_flags != (NLM_F_REQUEST | NLM_F_ACK | CREATION_FLAGS) || head.nlmsg_seq != 1)
                return err_say(-EBADMSG, "a saved tracking entry is damaged");
        return 0;
}

int conntrack_restore(const Ticket *ticket) {
        _cleanup_(mnl_socket_closep) struct mnl_socket *door = NULL;
        int r = 0, refused = 0, made = 0;

        for (size_t i = 0; r == 0 && i < ticket->n_conntrack; i++)
                r = frame_check(&ticket->conntrack[i]);
        if (r == 0 && ticket->n_conntrack > 0)
                r = door_open(&door);
        if (r < 0)
                return err_pass(r);
        for (size_t i = 0; i < ticket->n_conntrack; i++) {
                MessageBuffer buffer;
                int created;

                memcpy(buffer, ticket->conntrack[i].data, ticket->conntrack[i].len);
                created = talk(door, (const struct nlmsghdr *)buffer, NULL);
                if (created == 0)
                        made++;
                else if (created != -EEXIST && refused == 0)
                        refused = created;
        }
        return refused < 0 ? err_born(refused, "cannot restore a tracked connection") : made;
}

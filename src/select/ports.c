/* SPDX-License-Identifier: GPL-2.0-or-later */

/*
 * Which ports of a tree are held. Too few is a peer that is refused in the gap; too many is somebody else
 * who cannot be reached until the tree is back, above all sshd by whoever must log in. So in doubt a port is
 * not held.
 *
 * Sockets are counted by the machine, not by the tree: each of those outside is looked at once, however many
 * there are.
 */

#include "select/ports.h"

#include "base/cleanup.h"
#include "base/err.h"
#include "model/cgroup-path.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>

/* A server has a few. Who opens every port that he can get must not make the rules long; what a user, and
 * what all may have, is in model/connections.c. */
#define PORTS_MAX 256u

/* Below, ports are those of services, which what a user runs has at most by inheritance: sshd's own. */
#define PORT_SERVICES 1024u

/* mosh-server's, most of which lie among those that the kernel gives to who asks a question. */
#define PORT_MOSH_FIRST 60000u
#define PORT_MOSH_LAST  61000u

#define BITS (65536u / 8)

typedef struct OwnPort {
        uint8_t protocol;
        uint16_t port;
        uint8_t local[16]; /* v4-mapped */
        const SnapInet *inet;
        bool taken;
} OwnPort;

/* What others have, by number alone: any socket, and one of any address. */
typedef struct Others {
        uint8_t some[BITS], wild[BITS];
} Others;

typedef struct Ports {
        OwnPort *own;
        size_t n;
        Others *tcp, *udp;
} Ports;

static void ports_done(Ports *p) {
        free(p->own);
        free(p->tcp);
        free(p->udp);
}

static void bit_set(uint8_t *bits, uint16_t port) {
        bits[port / 8] |= (uint8_t)(1u << port % 8);
}

static bool bit_get(const uint8_t *bits, uint16_t port) {
        return bits[port / 8] >> port % 8 & 1;
}

bool inet_waits(const SnapInet *i) {
        return i->local_port != 0 &&
               (i->protocol == IPPROTO_UDP || (i->protocol == IPPROTO_TCP && i->state == TCP_LISTEN));
}

int inet_set_address(ProtobufCBinaryData *field, int family, const uint8_t address[static 16]) {
        if (family == AF_INET)
                return model_set_bytes(field, address, 4);
        if (IN6_IS_ADDR_V4MAPPED((const struct in6_addr *)address))
                return model_set_bytes(field, address + 12, 4);
        return model_set_bytes(field, address, 16);
}

bool inet_is_multicast(ProtobufCBinaryData address) {
        return address.len == 4 ? (address.data[0] & 0xf0) == 0xe0
                                : address.len == 16 && address.data[0] == 0xff;
}

bool inet_is_any(ProtobufCBinaryData address) {
        static const uint8_t any[16];

        return address.len <= sizeof any && memcmp(address.data, any, address.len) == 0;
}

static OwnPort own_of(const SnapInet *i) {
        OwnPort own = {.protocol = (uint8_t)i->protocol, .port = i->local_port, .inet = i};

        inet_mapped(i, i->local, own.local);
        return own;
}

static bool is_wild(const OwnPort *p) {
        const struct in6_addr *a = (const struct in6_addr *)p->local;

        return IN6_IS_ADDR_UNSPECIFIED(a) || (IN6_IS_ADDR_V4MAPPED(a) && a->s6_addr32[3] == 0);
}

static int by_place(const void *a, const void *b) {
        const OwnPort *x = a, *y = b;

        if (x->protocol != y->protocol)
                return x->protocol < y->protocol ? -1 : 1;
        if (x->port != y->port)
                return x->port < y->port ? -1 : 1;
        return memcmp(x->local, y->local, sizeof x->local);
}

/* Each place once: descriptors are shared, and SO_REUSEPORT lets many sockets have one. */
static void own_sort(Ports *p) {
        size_t n = 0;

        qsort(p->own, p->n, sizeof *p->own, by_place);
        for (size_t i = 0; i < p->n; i++)
                if (n == 0 || by_place(&p->own[n - 1], &p->own[i]) != 0)
                        p->own[n++] = p->own[i];
        p->n = n;
}

static int own_collect(const Members *m, Ports *ret) {
        size_t room = 0;

        for (size_t i = 0; i < m->n; i++)
                room += m->list[i]->n_fds;
        ret->own = calloc(room + 1, sizeof *ret->own);
        ret->tcp = calloc(1, sizeof *ret->tcp);
        ret->udp = calloc(1, sizeof *ret->udp);
        if (!ret->own || !ret->tcp || !ret->udp)
                return -ENOMEM;
        for (size_t i = 0; i < m->n; i++)
                for (size_t k = 0; k < m->list[i]->n_fds; k++) {
                        const SnapFd *f = m->list[i]->fds + k;
                        const SnapInet *inet = f->kind == FD_TCP || f->kind == FD_UDP
                                                               ? snapshot_inet(m->s, f->ino)
                                                               : NULL;

                        if (inet && inet_waits(inet))
                                ret->own[ret->n++] = own_of(inet);
                }
        own_sort(ret);
        return 0;
}

static void take(Ports *p, const OwnPort *place) {
        OwnPort *found = p->n > 0 ? bsearch(place, p->own, p->n, sizeof *place, by_place) : NULL;

        if (found)
                found->taken = true;
}

static void others_have(Ports *p, const SnapInet *i) {
        const OwnPort place = own_of(i);
        Others *others = i->protocol == IPPROTO_TCP ? p->tcp : p->udp;

        bit_set(others->some, place.port);
        if (is_wild(&place))
                bit_set(others->wild, place.port);
        take(p, &place);
}

/* A descriptor of the tree's own socket that somebody else has. */
static void others_hold(const Members *m, Ports *p, uint64_t ino) {
        const SnapInet *i = members_have_socket(m, ino) ? snapshot_inet(m->s, ino) : NULL;
        OwnPort place;

        if (!i || !inet_waits(i))
                return;
        place = own_of(i);
        take(p, &place);
}

static void others_look(const Members *m, Ports *p) {
        const Snapshot *s = m->s;

        for (size_t i = 0; i < s->n_inets; i++)
                if (inet_waits(s->inets + i) && !members_have_socket(m, s->inets[i].ino))
                        others_have(p, s->inets + i);
        for (size_t i = 0; i < s->n_holders; i++)
                if (s->holders[i].kind == FD_UNIX)
                        others_hold(m, p, s->holders[i].id);
        for (size_t i = 0; i < s->n_processes; i++) {
                const SnapProcess *process = s->processes + i;

                if (process->n_fds == 0 || members_have_process(m, process->pid))
                        continue;
                for (size_t k = 0; k < process->n_fds; k++)
                        if (process->fds[k].kind == FD_TCP || process->fds[k].kind == FD_UDP)
                                others_hold(m, p, process->fds[k].ino);
        }
}

/* Such a socket is a client's. Its port may be that of anybody's question in the next boot. */
static bool asks_questions(const Snapshot *s, const OwnPort *own) {
        if (own->protocol != IPPROTO_UDP || !is_wild(own) ||
            (own->port >= PORT_MOSH_FIRST && own->port <= PORT_MOSH_LAST))
                return false;
        return own->port >= s->questions[0] && own->port <= s->questions[1];
}

static bool is_users(const Members *m, const Tree *tree) {
        return tree->session || cgroup_in_unit(m->list[0]->cgroup, "user.slice");
}

static bool is_ours_alone(const Ports *p, const OwnPort *own) {
        const Others *others = own->protocol == IPPROTO_TCP ? p->tcp : p->udp;

        if (own->taken || bit_get(others->wild, own->port))
                return false;
        return !is_wild(own) || !bit_get(others->some, own->port);
}

static void port_freep(Port **p) {
        model_free(*p);
}

static int port_add(Tree *tree, const OwnPort *own) {
        _cleanup_(port_freep) Port *port = model_new(Port, port__init);
        int r;

        if (!port)
                return -ENOMEM;
        port->protocol = own->protocol;
        port->port = own->port;
        r = inet_set_address(&port->local, own->inet->family, own->inet->local);
        if (r < 0 || inet_is_multicast(port->local))
                return r;
        r = model_append(tree->ports, tree->n_ports, port);
        if (r >= 0)
                port = NULL;
        return r;
}

int ports_describe(const Members *m, Tree *tree) {
        _cleanup_(ports_done) Ports p = {0};
        int r;

        r = own_collect(m, &p);
        if (r < 0 || p.n == 0)
                return err_pass(r);
        if (m->s->holders_cut || m->s->ports_unknown)
                return 0; /* nobody knows who has them, too */
        others_look(m, &p);
        for (size_t i = 0; r >= 0 && i < p.n && tree->n_ports < PORTS_MAX; i++) {
                const OwnPort *own = p.own + i;

                if (is_ours_alone(&p, own) && !asks_questions(m->s, own) &&
                    !(own->port < PORT_SERVICES && is_users(m, tree)))
                        r = port_add(tree, own);
        }
        return r < 0 ? err_pass(r) : 0;
}

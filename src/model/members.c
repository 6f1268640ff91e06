/* SPDX-License-Identifier: GPL-2.0-or-later */

#include "model/members.h"

#include "base/cleanup.h"
#include "base/err.h"
#include "base/hash.h"

#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>

#define END_READ  1u
#define END_WRITE 2u
#define HUNG_UP   4u

static unsigned ends_of(unsigned flags) {
        switch (flags & O_ACCMODE) {
        case O_RDONLY:
                return END_READ;
        case O_WRONLY:
                return END_WRITE;
        default:
                return END_READ | END_WRITE;
        }
}

static int by_id(const void *a, const void *b) {
        const MemberKey *x = a, *y = b;

        return x->id < y->id ? -1 : x->id > y->id;
}

/* Sorts, and makes one of all keys with the same id. */
static void index_finish(MemberIndex *index) {
        size_t unique = 0;

        if (index->n > 0)
                qsort(index->keys, index->n, sizeof *index->keys, by_id);
        for (size_t i = 0; i < index->n; i++)
                if (unique > 0 && index->keys[unique - 1].id == index->keys[i].id)
                        index->keys[unique - 1].ends |= index->keys[i].ends;
                else
                        index->keys[unique++] = index->keys[i];
        index->n = unique;
}

static const MemberKey *index_find(const MemberIndex *index, uint64_t id) {
        const MemberKey key = {.id = id};

        return index->n == 0 ? NULL : bsearch(&key, index->keys, index->n, sizeof key, by_id);
}

static void add(MemberIndex *index, uint64_t id, unsigned ends) {
        index->keys[index->n++] = (MemberKey){id, ends};
}

bool members_is_connected(const SnapInet *i) {
        switch (i->state) {
        case TCP_ESTABLISHED:
        case TCP_SYN_SENT:
        case TCP_FIN_WAIT1:
        case TCP_FIN_WAIT2:
        case TCP_CLOSE_WAIT:
        case TCP_LAST_ACK:
        case TCP_CLOSING:
                return i->protocol == IPPROTO_TCP;
        default:
                return false;
        }
}

void inet_mapped(const SnapInet *i, const uint8_t address[static 16], uint8_t out[static 16]) {
        static const uint8_t prefix[12] = {[10] = 0xff, [11] = 0xff};

        if (i->family != AF_INET) {
                memcpy(out, address, 16);
                return;
        }
        memcpy(out, prefix, sizeof prefix);
        memcpy(out + 12, address, 4);
}

/* Of both addresses: who makes two of his own connections collide has one of them held less. */
static uint64_t wire_id(const uint8_t local[static 16], uint16_t local_port, const uint8_t remote[static 16],
                        uint16_t remote_port) {
        uint8_t bytes[36];

        memcpy(bytes, local, 16);
        memcpy(bytes + 16, remote, 16);
        memcpy(bytes + 32, &local_port, 2);
        memcpy(bytes + 34, &remote_port, 2);
        return hash_bytes(bytes, sizeof bytes, 0);
}

static void index_wire(Members *m, uint64_t ino) {
        const SnapInet *i = snapshot_inet(m->s, ino);
        uint8_t local[16], remote[16];

        if (!i || !members_is_connected(i))
                return;
        inet_mapped(i, i->local, local);
        inet_mapped(i, i->remote, remote);
        add(&m->wires, wire_id(local, i->local_port, remote, i->remote_port), 0);
}

static void index_process(Members *m, const SnapProcess *p) {
        for (size_t k = 0; k < p->n_fds; k++) {
                const SnapFd *f = p->fds + k;

                switch (f->kind) {
                case FD_PIPE:
                        add(&m->pipes, f->ino, ends_of(f->flags) | (f->hung_up ? HUNG_UP : 0));
                        break;
                case FD_PTMX:
                        if (f->pty_index >= 0)
                                add(&m->masters, (uint64_t)f->pty_index, 0);
                        break;
                case FD_TCP:
                        index_wire(m, f->ino);
                        add(&m->sockets, f->ino, 0);
                        break;
                case FD_UNIX:
                case FD_UDP:
                case FD_NETLINK:
                case FD_PACKET:
                case FD_SOCKET:
                        add(&m->sockets, f->ino, 0);
                        break;
                default:
                        break;
                }
        }
}

static int index_begin(MemberIndex *index, size_t n) {
        index->keys = calloc(n + 1, sizeof *index->keys);
        return index->keys ? 0 : -ENOMEM;
}

int members_of(const Snapshot *s, pid_t root, Members *ret) {
        _cleanup_(members_done) Members m = {.s = s};
        size_t n_fds = 0;
        int r;

        r = snapshot_tree(s, root, &m.list, &m.n);
        if (r < 0)
                return err_pass(r);
        for (size_t i = 0; i < m.n; i++)
                n_fds += m.list[i]->n_fds;
        if (index_begin(&m.sockets, n_fds) < 0 || index_begin(&m.pipes, n_fds) < 0 ||
            index_begin(&m.masters, n_fds) < 0 || index_begin(&m.wires, n_fds) < 0)
                return -ENOMEM;
        for (size_t i = 0; i < m.n; i++)
                index_process(&m, m.list[i]);
        index_finish(&m.sockets);
        index_finish(&m.pipes);
        index_finish(&m.masters);
        index_finish(&m.wires);
        *ret = m;
        m = (Members){0};
        return 0;
}

void members_done(Members *m) {
        free(m->list);
        free(m->sockets.keys);
        free(m->pipes.keys);
        free(m->masters.keys);
        free(m->wires.keys);
        *m = (Members){0};
}

bool members_have_process(const Members *m, pid_t pid) {
        for (size_t i = 0; i < m->n; i++)
                if (m->list[i]->pid == pid)
                        return true;
        return false;
}

bool members_have_socket(const Members *m, uint64_t ino) {
        return index_find(&m->sockets, ino);
}

bool members_have_master(const Members *m, int pty_index) {
        return pty_index >= 0 && index_find(&m->masters, (uint64_t)pty_index);
}

PipeEnds members_pipe(const Members *m, uint64_t ino) {
        const MemberKey *own = index_find(&m->pipes, ino);
        unsigned ends = own ? own->ends : 0;

        if ((ends & (END_READ | END_WRITE)) == (END_READ | END_WRITE))
                return PIPE_INSIDE;
        return ends & HUNG_UP ? PIPE_CLOSED : PIPE_OUTSIDE;
}

bool members_have_other_end(const Members *m, const SnapInet *i) {
        uint8_t local[16], remote[16];

        inet_mapped(i, i->local, local);
        inet_mapped(i, i->remote, remote);
        return index_find(&m->wires, wire_id(remote, i->remote_port, local, i->local_port));
}

bool inet_is_loopback(const SnapInet *i) {
        struct in6_addr a;

        inet_mapped(i, i->local, a.s6_addr);
        return IN6_IS_ADDR_LOOPBACK(&a) || (IN6_IS_ADDR_V4MAPPED(&a) && a.s6_addr[12] == 127);
}

const SnapProcess *members_stand_on(const Members *m, int mnt_id) {
        for (size_t i = 0; i < m->n; i++)
                for (size_t k = 0; k < m->list[i]->n_mounts; k++)
                        if (m->list[i]->mounts[k] == mnt_id)
                                return m->list[i];
        return NULL;
}

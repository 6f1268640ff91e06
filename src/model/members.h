/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/* The processes of one tree in a snapshot, with what they hold indexed: whether the other end of something
 * is inside the tree is the question that both the selection and the verdict ask most. */

#include "model/snapshot.h"

typedef struct MemberKey {
        uint64_t id;
        unsigned ends; /* of a pipe: 1 read, 2 write; 4 nobody has the other one */
} MemberKey;

typedef struct MemberIndex {
        MemberKey *keys;
        size_t n;
} MemberIndex;

typedef struct Members {
        const Snapshot *s;
        const SnapProcess **list; /* root first, parents before children */
        size_t n;
        MemberIndex sockets, pipes, masters;
        MemberIndex wires; /* connected TCP sockets by both their addresses */
} Members;

typedef enum PipeEnds {
        PIPE_INSIDE,  /* both ends are in the tree */
        PIPE_OUTSIDE, /* the other end is somebody else's, or nobody knows */
        PIPE_CLOSED,  /* nobody has the other end */
} PipeEnds;

/* -ESRCH if the root is not in the snapshot. */
int members_of(const Snapshot *s, pid_t root, Members *ret);
void members_done(Members *m);

bool members_have_process(const Members *m, pid_t pid);
bool members_have_socket(const Members *m, uint64_t ino);
bool members_have_master(const Members *m, int pty_index);
PipeEnds members_pipe(const Members *m, uint64_t ino);

/* The first process, from the root on, that something of a mount belongs to; NULL: none. */
const SnapProcess *members_stand_on(const Members *m, int mnt_id);

/* A TCP socket in a state in which it has a peer: a hold and a restore care about it. */
bool members_is_connected(const SnapInet *i);

/* Whether the peer of a connected TCP socket is a socket of this tree. */
bool members_have_other_end(const Members *m, const SnapInet *i);

bool inet_is_loopback(const SnapInet *i); /* by its local address */

/* One form for both families, so that the two ends of a connection compare equal. */
void inet_mapped(const SnapInet *i, const uint8_t address[static 16], uint8_t out[static 16]);

/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/*
 * Two network namespaces of a test's own, joined by a veth pair, with a real TCP stack on either side:
 * "ours", where the code under test acts, and "peer", which must not notice. All sockets belong to the one
 * process; it steps from one namespace into the other. Failures end the test (cmocka assertions).
 */

#include "base/err.h"
#include "model/connections.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/* Fails with the sentence of the code under test. */
#define check(call)                                                                                         \
        ({                                                                                                  \
                int check_ = (call);                                                                        \
                if (check_ < 0)                                                                             \
                        fail_msg("%s: %s (%s)", #call, err_text(check_), err_way());                        \
                check_;                                                                                     \
        })

typedef enum Flavour {
        FLAVOUR_V4,
        FLAVOUR_V6,
        FLAVOUR_MAPPED, /* IPv4 on the wire, an IPv6 socket at our end */
} Flavour;

const char *flavour_text(Flavour flavour);

typedef struct World {
        int home, ours, peer; /* namespace descriptors */
        pid_t keeper;         /* lives in the peer's namespace until the end */
        int capture;          /* packet socket at the peer's end of the wire */
        char device[16];      /* our end of the wire */
} World;

/* 1 if namespaces cannot be made here (not root). Leaves the caller in "ours". */
int world_make(World *w);
void world_end(World *w);
/* Our end gets other addresses in the same networks, and loses those that it has. */
void world_move(World *w);
void world_enter(int ns);

/* Runs a command of iproute2 in the namespace where we are. */
void world_ip(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* One TCP connection, accepted at our end. */
typedef struct Line {
        int listener, ours, peer;
        Connection *connection; /* as our end sees it */
} Line;

void line_open(World *w, Flavour flavour, Line *ret);
/* The two halves of it; the peer may go to another port than the one we listen on. */
uint16_t line_listen(Flavour flavour, Line *ret);
void line_connect(World *w, Flavour flavour, uint16_t port, Line *l);
/* The same, but our end has begun it. */
void line_open_out(World *w, Flavour flavour, Line *ret);
/* The same between two sockets of ours over loopback. */
void line_open_loopback(Line *ret);
void line_close(Line *l);

/* A number that no socket at our end has. */
uint16_t port_free(int type);
/* Our end's address, as packets of this flavour have it. */
const char *world_address(Flavour flavour);
/* A socket of ours with a port at every address of the flavour; one of TCP listens. */
int port_open(Flavour flavour, int type, uint16_t port);
/* A socket at the peer's end that is connected, or begins to connect, with a port at ours; never blocks. */
int port_reach(World *w, Flavour flavour, int type, uint16_t port);
/* Our end vanishes without a word, as when CRIU has killed the tree. */
void line_vanish(Line *l);

/* What `from` sends arrives at `to` within the time. */
bool data_passes(int from, int to, int timeout_ms);

typedef struct Seen {
        size_t from_ours, from_peer, resets; /* TCP packets; resets only from ours */
        size_t errors;                       /* ICMP's "destination unreachable" from ours */
} Seen;

/* What the wire has carried since the last call. */
Seen wire_seen(World *w);
/* Waits until the peer has put at least one more TCP packet on the wire; false after the time. */
bool wire_wait_peer(World *w, int timeout_ms, Seen *seen);

/* A process at the peer's end that sends segments of the connection (their acknowledgement number is our
 * business only in so far as each would draw a reset), as fast as about 20,000 a second. IPv4 only. */
pid_t world_flood(World *w, const Connection *c);
void world_flood_end(pid_t flood);

/* n connections of a list, to be held. */
#define HELD(list, n) (&(HoldSet){.connections = (list), .n_connections = (n)})

/* Made-up connections that no packet belongs to, v4 and v6 mixed. Free with connections_free(). */
Connection **connections_invent(size_t n);
void connections_free(Connection **connections, size_t n);

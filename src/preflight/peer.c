/* SPDX-License-Identifier: GPL-2.0-or-later */

/* What has another end: terminals, pipes, sockets. docs/CRIU.md, "Sockets with a peer outside",
 * "FIFOs and pipes", "Terminals", "What cannot be dumped", "TCP". */

#include "base/cleanup.h"
#include "base/text.h"
#include "preflight/checks.h"
#include "store/run.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <string.h>
#include <sys/sysmacros.h>

/* A number that was given anew: CRIU tells terminals apart by it. */
static bool is_given_anew(const Check *c, const SnapFd *f) {
        if (members_have_master(c->m, f->pty_index))
                return true;
        for (size_t i = 0; i < c->m->n; i++)
                for (size_t k = 0; k < c->m->list[i]->n_fds; k++) {
                        const SnapFd *other = c->m->list[i]->fds + k;

                        if (other->kind == FD_TTY && other->pty_index == f->pty_index && !other->hung_up)
                                return true;
                }
        return false;
}

/* Its session has ended, and it lives on. It stays without a terminal. */
static int check_hung_up(const Check *c, const SnapFd *f) {
        Who who;

        if (!is_given_anew(c, f))
                return 0;
        return note_refused(
                        c, "tty-reused", "close it, or stop the program",
                        "%s has terminal %s open, which has been closed, and another one in the tree has "
                        "the same number",
                        check_who(c->p, &who), f->target);
}

/* What it stands for is known only where the terminal is in the tree (image/terminals.c). */
static int check_own_tty(const Check *c, const SnapFd *f) {
        Who who;

        if (!f->hung_up && members_have_master(c->m, c->p->tty_index))
                return 0;
        return note_refused(c, "own-tty", "carry the whole session of the terminal",
                            "%s has /dev/tty open, which stands for a terminal that is not in the tree",
                            check_who(c->p, &who));
}

int check_tty(const Check *c, const SnapFd *f) {
        Who who, holder;

        if (f->pty_index < 0) {
                if (f->rdev == makedev(5, 0))
                        return check_own_tty(c, f);
                return note_refused(c, "console", "use an ssh session, or tmux in an ssh session",
                                    "%s uses terminal %s, which is a hardware console and cannot be carried",
                                    check_who(c->p, &who), f->target);
        }
        if (f->hung_up)
                return check_hung_up(c, f);
        if (members_have_master(c->m, f->pty_index))
                return 0;
        return note_degraded(c, "tty-outside",
                             "carry the whole session of the terminal, or detach from it first",
                             "%s uses terminal /dev/pts/%d, whose other side%s is outside the tree; the "
                             "terminal works again only if that side is restored too",
                             check_who(c->p, &who), f->pty_index,
                             check_holder(c, FD_PTMX, (uint64_t)f->pty_index, &holder));
}

int check_pipe(const Check *c, const SnapFd *f) {
        Who who, holder;

        if (f->flags & (unsigned)O_DIRECT)
                return note_refused(c, "pipe-packets", "stop the program before the reboot",
                                    "%s has a pipe in packet mode (O_DIRECT), which CRIU cannot save",
                                    check_who(c->p, &who));
        if (members_pipe(c->m, f->ino) != PIPE_OUTSIDE)
                return 0;
        return note_degraded(c, "pipe-outside", "also carry the tree that has the other end",
                             "%s has a pipe (descriptor %d) whose other end%s is outside the tree; reads "
                             "will return end of file, writes will fail",
                             check_who(c->p, &who), f->fd, check_holder(c, FD_PIPE, f->ino, &holder));
}

/* Unix sockets. */

/* Trees come back before services start, when only what PID 1 itself has open is there: sockets of .socket
 * units, and its own. What nobody is known to have is left to CRIU. */
static bool is_there_early(const Snapshot *s, uint64_t socket) {
        return !snapshot_holder(s, FD_UNIX, socket) || snapshot_is_held_by(s, FD_UNIX, socket, 1);
}

static int check_dgram(const Check *c, const SnapUnix *u) {
        const SnapUnix *peer = u->peer ? snapshot_unix(c->m->s, u->peer) : NULL;
        Who who, holder;

        if (u->peer == 0 || members_have_socket(c->m, u->peer))
                return 0; /* where it is bound its directory will be: save/files.c */
        if (peer && peer->path && is_there_early(c->m->s, u->peer))
                return 0; /* /dev/log and its like: CRIU connects again */
        if (peer && peer->path)
                return note_refused(c, "unix-late", "stop the program before the reboot",
                                    "%s has a datagram socket connected to %s%s outside the tree, which "
                                    "does not exist yet when the tree is restored",
                                    check_who(c->p, &who), peer->path,
                                    check_holder(c, FD_UNIX, u->peer, &holder));
        return note_refused(c, "unix-unnamed", "stop the program before the reboot",
                            "%s has a datagram socket connected to an unnamed socket%s outside the tree",
                            check_who(c->p, &who), check_holder(c, FD_UNIX, u->peer, &holder));
}

/* GLib raises SIGTERM and libdbus calls _exit() when a connection that they share within a program ends,
 * unless the program has told them otherwise, which nobody can see. Others see an error, and do as they
 * like. */
static int check_bus(const Check *c, const char *whose) {
        const unsigned libraries = c->p->libraries;
        Who who;

        if (libraries)
                return note_degraded(
                                c, "bus-exit", "restart the program after the reboot",
                                "%s is connected to the %s D-Bus by %s; this connection will be closed, "
                                "and the program will probably exit",
                                check_who(c->p, &who), whose, libraries & LIBRARY_GIO ? "GLib" : "libdbus");
        return note_degraded(c, "bus-connection", "restart the program if it does not reconnect",
                             "%s is connected to the %s D-Bus; this connection will be closed",
                             check_who(c->p, &who), whose);
}

static int check_outside_stream(const Check *c, const SnapFd *f, const SnapUnix *u) {
        const SnapUnix *peer = snapshot_unix(c->m->s, u->peer);
        const char *path = peer ? peer->path : NULL;
        Who who, holder;

        if (u->type != SOCK_STREAM)
                return note_refused(
                                c, "unix-seqpacket", "stop the program before the reboot",
                                "%s has a SOCK_SEQPACKET socket connected to a socket%s%s outside the tree",
                                check_who(c->p, &who), path ? " " : "",
                                path ?: check_holder(c, FD_UNIX, u->peer, &holder));
        if (path && strcmp(path, "/run/systemd/journal/stdout") == 0)
                return note_ok(c, "journal-stream", NULL,
                               "%s writes to the journal; this connection is opened again",
                               check_who(c->p, &who));
        if (path && (strcmp(path, RUN_VARLINK) == 0 || strcmp(path, RUN_VARLINK_USERS) == 0))
                return note_ok(c, "varlink-stream", NULL,
                               "%s is a client of carryover; the shutdown closes this connection before the "
                               "save",
                               check_who(c->p, &who));
        if (path && ends_with(path, "bus_socket"))
                return check_bus(c, "system");
        if (path && starts_with(path, "/run/user/") && ends_with(path, "/bus"))
                return check_bus(c, "user's");
        return note_degraded(c, "stream-outside",
                             "also carry the tree that has the other end, or let the program reconnect",
                             "%s has a connection (descriptor %d) to %s%s outside the tree; this connection "
                             "will be closed",
                             check_who(c->p, &who), f->fd, path ?: "a socket",
                             check_holder(c, FD_UNIX, u->peer, &holder));
}

int check_unix(const Check *c, const SnapFd *f) {
        const SnapUnix *u = snapshot_unix(c->m->s, f->ino);
        Who who;

        if (f->in_flight)
                return note_refused(c, "files-in-flight",
                                    "let the program receive the files, then try again",
                                    FILES_IN_FLIGHT_TEXT " (%u files, of %s)", f->in_flight,
                                    check_who(c->p, &who));
        if (!u)
                return 0; /* never bound nor connected, or the kernel cannot list: said once for all */
        if (u->path && u->path[0] != '/' && u->path[0] != '@')
                return note_refused(c, "relative-name",
                                    "have the program bind the socket by an absolute path",
                                    "%s has a socket bound as %s, a relative path; its directory is unknown",
                                    check_who(c->p, &who), u->path);
        if (u->path && u->path[0] == '/' && path_has_dots(u->path))
                return note_refused(
                                c, "dots-in-name",
                                "have the program bind the socket by a path without '.' and '..'",
                                "%s has a socket bound as %s; this path may lead elsewhere after the reboot",
                                check_who(c->p, &who), u->path);
        if (u->state == TCP_LISTEN)
                return 0;
        if (u->type == SOCK_DGRAM)
                return check_dgram(c, u);
        if (u->peer)
                return members_have_socket(c->m, u->peer) ? 0 : check_outside_stream(c, f, u);
        if (u->state != TCP_ESTABLISHED || u->dead_peer)
                return 0;
        return note_refused(c, "unix-unaccepted", "try again in a moment",
                            "%s has a connection that the peer has not accepted yet", check_who(c->p, &who));
}

/* Internet sockets. */

static void remote_text(const SnapInet *i, char out[static INET6_ADDRSTRLEN]) {
        if (!inet_ntop(i->family, i->remote, out, INET6_ADDRSTRLEN))
                strcpy(out, "?");
}

/* Both sides have said that they send no more, and the last word is not confirmed. */
static int check_last_ack(const Check *c, const char *remote) {
        Who who;

        return note_degraded(c, "last-ack", NULL,
                             "%s has a connection to %s that is being closed; the peer may get a reset "
                             "instead of the end of the connection",
                             check_who(c->p, &who), remote);
}

static int check_connected(const Check *c, const SnapInet *i) {
        char remote[INET6_ADDRSTRLEN];
        Who who;

        remote_text(i, remote);
        if (i->family == AF_INET6 && IN6_IS_ADDR_LINKLOCAL((const struct in6_addr *)i->local))
                return note_refused(c, "link-local", "use an address that is not link-local",
                                    "%s has a connection to %s over a link-local address, which CRIU cannot "
                                    "restore",
                                    check_who(c->p, &who), remote);
        if (i->state == TCP_LAST_ACK)
                return check_last_ack(c, remote);
        return 0; /* whether its other end is carried is asked when all trees are known: peers.c */
}

/* CRIU makes a plain connection of it without a word: what the program writes then goes out as it is, where
 * the kernel had encrypted it. */
static int check_above(const Check *c, const SnapInet *i) {
        Who who;

        if (i->ulp[0])
                return note_refused(c, "tcp-ulp",
                                    strcmp(i->ulp, "tls") == 0
                                                    ? "run the program without kernel TLS (ktls), or stop it"
                                                    : "stop the program before the reboot",
                                    "%s has a TCP connection with the kernel's '%s' on top (port %u), which "
                                    "CRIU cannot save",
                                    check_who(c->p, &who), i->ulp, i->local_port);
        return note_refused(c, "tcp-signature", "stop the program before the reboot",
                            "%s has a socket with TCP signatures (MD5 or AO, port %u), whose keys CRIU "
                            "cannot save",
                            check_who(c->p, &who), i->local_port);
}

/* CRIU has always saved these two of a connection. */
static unsigned lost_options(const Check *c, const SnapFd *f, const SnapInet *i) {
        bool is_saved = c->facts->criu.tcp_options || (i && members_is_connected(i));

        return is_saved ? f->options & ~(unsigned)(OPTION_NODELAY | OPTION_CORK) : f->options;
}

/* It goes on with what a socket has that nobody has set. */
static int check_options(const Check *c, const SnapFd *f, const SnapInet *tcp) {
        static const char *const names[] = {"TCP_USER_TIMEOUT", "TCP_CONGESTION",    "TCP_DEFER_ACCEPT",
                                            "UDP_SEGMENT",      "UDP_GRO",           "IP_MULTICAST_IF",
                                            "IP_MULTICAST_TTL", "IP_MULTICAST_LOOP", "TCP_NODELAY",
                                            "TCP_CORK"}; /* as SnapOption */
        unsigned lost = lost_options(c, f, tcp);
        int r = 0;
        Who who;

        for (size_t i = 0; r >= 0 && i < ELEMENTS(names); i++)
                if (lost & 1u << i)
                        r = note_degraded(c, "socket-option", "restart the program after the reboot",
                                          "%s has set %s of a socket, which CRIU does not save; the default "
                                          "applies after the reboot",
                                          check_who(c->p, &who), names[i]);
        return r;
}

/* The socket comes back, the membership does not. */
static int check_multicast(const Check *c, const SnapFd *f) {
        char group[INET6_ADDRSTRLEN];
        Who who;

        if (f->multicast == 0)
                return 0;
        if (!inet_ntop(f->multicast, f->group, group, sizeof group))
                strcpy(group, "?");
        return note_degraded(c, "multicast", "start the program again after the reboot",
                             "%s receives multicast group %s; it will receive nothing after the reboot",
                             check_who(c->p, &who), group);
}

static int check_udp(const Check *c, const SnapFd *f) {
        Who who;
        int r;

        if (f->is_corked)
                return note_refused(c, "udp-corked", "try again in a moment",
                                    "%s has a UDP socket that collects a packet (UDP_CORK), which CRIU "
                                    "cannot save",
                                    check_who(c->p, &who));
        r = check_options(c, f, NULL);
        return r < 0 ? r : check_multicast(c, f);
}

int check_inet(const Check *c, const SnapFd *f) {
        const SnapInet *i = snapshot_inet(c->m->s, f->ino);
        Who who;
        int r;

        if (f->kind == FD_UDP)
                return check_udp(c, f);
        r = check_options(c, f, i);
        if (r < 0 || !i || i->protocol != IPPROTO_TCP)
                return r;
        if (i->ulp[0] || i->is_signed || f->is_signed)
                return check_above(c, i);
        if (i->state == TCP_LISTEN && i->rqueue > 0)
                return note_refused(c, "accept-queue", "let the program accept them, then try again",
                                    "%s listens on port %u, where %u connections have not been accepted yet",
                                    check_who(c->p, &who), i->local_port, i->rqueue);
        if (!members_is_connected(i))
                return 0;
        return check_connected(c, i);
}

int check_socket(const Check *c, const SnapFd *f) {
        static const struct {
                const char *protocol, *what, *remedy;
        } known[] = {
                        {"MPTCP", "mptcp", "run the program without MPTCP (Go: GODEBUG=multipathtcp=0)"},
                        {"AF_VSOCK", "vsock", "stop the program before the reboot"},
                        {"vsock", "vsock", "stop the program before the reboot"},
        };
        Who who;

        if (f->kind == FD_PACKET) {
                if (f->any_interface)
                        return 0;
                return note_refused(c, "packet-interface", "stop the program before the reboot",
                                    "%s has a packet socket bound to an interface by number; the number may "
                                    "belong to another interface after the reboot",
                                    check_who(c->p, &who));
        }
        if (f->kind == FD_NETLINK) {
                if (f->unread == 0)
                        return 0;
                return note_refused(c, "netlink-unread", "try again in a moment",
                                    "%s has %u unread bytes in a netlink socket, which CRIU cannot save",
                                    check_who(c->p, &who), f->unread);
        }
        if (starts_with(f->target, "RAW"))
                return check_multicast(c, f);
        for (size_t i = 0; i < ELEMENTS(known); i++)
                if (starts_with(f->target, known[i].protocol))
                        return note_refused(c, known[i].what, known[i].remedy,
                                            "%s has a socket of type %s, which CRIU cannot save",
                                            check_who(c->p, &who), f->target);
        return note_refused(c, "socket-kind", "stop the program before the reboot",
                            "%s has a socket of type '%s', which CRIU does not support",
                            check_who(c->p, &who), f->target);
}

/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/*
 * Addresses and routes by rtnetlink (libnl). IPv4-mapped addresses (::ffff:a.b.c.d) count as the IPv4
 * addresses that are on the wire; loopback addresses need nothing and are skipped everywhere. All functions
 * act in the network namespace of the caller and may run in several threads.
 */

#include "model/connections.h"

#include <stdint.h>

/* Appends to ticket->drivers the kernel module of each device that has a local address of what is held, or
 * lies below one that has (VLAN, bridge, bond), each once: early boot loads them long before udev comes to
 * it. */
int network_drivers(const HoldSet *set, Ticket *ticket);

/*
 * Takes out of what the tree listens on and is bound to whatever is no address of this machine now: one that
 * a socket has by IP_FREEBIND, or a broadcast address. It was not needed then, and may never come.
 */
int network_forget_foreign(Tree *tree);

/*
 * Waits until the machine has every local address that the tree needs, of connections, listeners and
 * sockets of UDP (not tentative: IPv6 past DAD) and a route to every peer, by rtnetlink events, no polling.
 * 0; -ETIMEDOUT with the sentence naming the first thing missing. stop_fd (or -1): returns -ECANCELED when
 * it becomes readable.
 */
int network_wait(const Tree *tree, uint64_t deadline_monotonic, int stop_fd);

/*
 * The same, with a time that begins to run when a network interface has a carrier, and anew when all of them
 * had lost it: while there is none, as with a switch that starts too, nobody could be told that the tree has
 * failed, and it waits. Where there is hardware, only its carrier counts, for bridges and virtual cables of
 * containers have one by themselves.
 */
int network_wait_patiently(const Tree *tree, uint64_t usec, int stop_fd);

/* What such a wait would wait for now: 0 for nothing, 1 with the sentence of -ETIMEDOUT. */
int network_missing(const Tree *tree);

/*
 * After a restore in TCP repair mode the kernel keeps a segment size of 524 until the path MTU it remembers
 * changes (docs/CRIU.md, "TCP"). begin() puts a host route with a smaller MTU to each peer, before the
 * restore; end() removes them, after it. Safe for peers that are the gateway, several trees with one peer
 * (each tree has routes of its own, told apart by their metric, the tree's root_pid), IPv6; a leftover of a
 * crash is recognised (route protocol number 0xC1) and removed by network_mtu_sweep(). A peer without a
 * route, or whose path cannot have a smaller MTU, is left out. A failure is no reason to stop a restore.
 */
int network_mtu_begin(const Tree *tree);
int network_mtu_end(const Tree *tree);
int network_mtu_sweep(void); /* returns how many there were */

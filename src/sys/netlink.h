/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/*
 * Addresses and routes by rtnetlink (libnl). IPv4-mapped addresses (::ffff:a.b.c.d) count as the IPv4
 * addresses that are on the wire; loopback addresses need nothing and are skipped everywhere. All functions
 * act in the network namespace of the caller and may run in several threads.
 */

#include "model/model.h"

#include <stdint.h>

/* Where these connections stand now: appends to the ticket each local address with prefix and device, and
 * each peer's route (gateway, device), each once. Loopback connections need none, and a peer on this very
 * machine needs no route. */
int network_record(Connection *const *connections, size_t n, Ticket *ticket);

/*
 * Waits until the machine has every local address that the tree needs, of connections and listeners (not
 * tentative: IPv6 past DAD) and a route to every peer, by rtnetlink events, no polling. 0; -ETIMEDOUT with
 * the sentence naming the first thing missing. stop_fd (or -1): returns -ECANCELED when it becomes readable.
 */
int network_wait(const Tree *tree, uint64_t deadline_monotonic, int stop_fd);

/*
 * Shortens the wait for DHCP and the like: as soon as the link of a recorded address is there (same name and
 * same hardware address), sets it up, and puts on what is missing so that the held connections can go on:
 *
 *  - an IPv4 address as /32 on the loopback device, an IPv6 address as /128 on its own link, without DAD (it
 *    was ours a moment ago); both for LEASE seconds only, see the .c;
 *  - a host route to each peer that has no route, with a high metric, so that every other wins.
 *
 * Whoever configures the network later finds his interface without an IPv4 address and without a route in a
 * place that he would use, and does not collide with ours. Returns at once what needs nothing. 0: all is
 * there; -ETIMEDOUT: the sentence names the first link that did not appear (what could be done is done);
 * -ECANCELED: stop_fd.
 */
int network_apply(const Ticket *ticket, uint64_t deadline_monotonic, int stop_fd);

/* Takes back each address and route of network_apply() that the machine now has by itself; leaves the rest.
 * Returns how many are left. */
int network_apply_end(const Ticket *ticket);

/*
 * After a restore in TCP repair mode the kernel keeps a segment size of 524 until the path MTU it remembers
 * changes (criu-facts 15). begin() puts a host route with a smaller MTU to each peer, before the restore;
 * end() removes them, after it. Safe for peers that are the gateway, several trees with one peer (each tree
 * has routes of its own, told apart by their metric, the tree's root_pid), IPv6; a leftover of a crash is
 * recognised (route protocol number 0xC1) and removed by network_mtu_sweep(). A peer without a route, or
 * whose path cannot have a smaller MTU, is left out. A failure is no reason to stop a restore.
 */
int network_mtu_begin(const Tree *tree);
int network_mtu_end(const Tree *tree);
int network_mtu_sweep(void); /* returns how many there were */

/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/* Addresses and routes by rtnetlink (libnl-route). */

#include "model/model.h"

#include <stdint.h>

/* Where these connections stand now: appends to the ticket each local address with prefix and device, and
 * each peer's route (gateway, device). Loopback connections need none. */
int network_record(Connection *const *connections, size_t n, Ticket *ticket);

/*
 * Waits until the machine has every local address that the tree needs (not tentative: IPv6 past DAD) and a
 * route to every peer, by rtnetlink events, no polling. 0; -ETIMEDOUT with the sentence naming the first
 * thing missing. stop_fd (or -1): returns -ECANCELED when it becomes readable.
 */
int network_wait(const Tree *tree, uint64_t deadline_monotonic, int stop_fd);

/*
 * After a restore in TCP repair mode the kernel keeps a segment size of 524 until the path MTU it remembers
 * changes (criu-facts 15). begin() puts a host route with a smaller MTU to each peer, before the restore;
 * end() removes them, after it. Safe for peers that are the gateway, several trees with one peer, IPv6; a
 * leftover of a crash is recognised (route protocol number 0xC1) and removed by network_mtu_sweep().
 */
int network_mtu_begin(const Tree *tree);
int network_mtu_end(const Tree *tree);
int network_mtu_sweep(void);

/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/* Private to select. */

#include "model/members.h"
#include "model/model.h"

/*
 * Appends to tree->ports those that the hold takes: where a socket of the tree listens (TCP) or is bound
 * (UDP), and nobody outside the tree is reached at the same port, through a socket of his own or a
 * descriptor of the same one. What others are reached at is never held: they must go on to be. Nor is a port
 * below 1024 of what a user runs, or one at which a socket of UDP without an address waits for the answer to
 * a question. Where it is not known who else has a socket, none is held.
 */
int ports_describe(const Members *m, Tree *tree);

/* Whether a socket waits for whoever comes to its port. */
bool inet_waits(const SnapInet *i);

/* An address as packets have it: IPv4 for a v4-mapped one. */
int inet_set_address(ProtobufCBinaryData *field, int family, const uint8_t address[static 16]);

/* A group's; no socket is waited for at it, and no error is drawn by what comes to it. */
bool inet_is_multicast(ProtobufCBinaryData address);

bool inet_is_any(ProtobufCBinaryData address);

/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/* Messages of Varlink on a connection: each ends with a NUL. */

#include "base/clock.h"

#include <stddef.h>
#include <stdint.h>

#define WIRE_PATIENCE                                                                                       \
        (60 * USEC_PER_SEC) /* with a peer that says or takes nothing: its next connection costs nothing */
#define WIRE_MESSAGE_MAX 65536u /* of the peer's; what it may say has a name and a target in it */

/* Begins with {.fd = …}; wire_done() at the end, which leaves the descriptor. */
typedef struct Wire {
        int fd;
        char *buffer;
        size_t have, taken; /* bytes read; those that the last message took */
} Wire;

void wire_done(Wire *wire);

/* The next message, without its NUL, valid until the next call. Answer 1: the peer has ended the connection,
 * also in the middle of a message. -ETIMEDOUT: it sent nothing for so long. -EMSGSIZE: it is too long. */
int wire_receive(Wire *wire, uint64_t timeout_usec, const char **ret, size_t *ret_size);

/* A text and its NUL. -EPIPE, -ETIMEDOUT: the peer does not take it. */
int wire_send(const Wire *wire, const char *text, uint64_t timeout_usec);

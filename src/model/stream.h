/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

#include <stdint.h>

/* A connection whose peer may still send. IPv4 addresses are v4-mapped, whatever the socket's family. */
typedef struct PeerStream {
        uint8_t local[16], remote[16]; /* network order */
        uint16_t local_port, remote_port;
        uint32_t received; /* the sequence number that the peer's next byte has */
        uint32_t sent;     /* that our next one has: behind all that was ever sent */
        uint32_t acked;    /* that the first byte has which the peer had not acknowledged */
} PeerStream;

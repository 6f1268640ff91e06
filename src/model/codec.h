/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/*
 * Bytes that cross the jump, framed so that a file cut short, altered or of a later format is refused before
 * any of it is believed:
 *
 *         8 bytes   magic "CRRYOVER"
 *         u32 LE    format (CODEC_FORMAT)
 *         u32 LE    kind (what message is inside)
 *         u64 LE    length of the payload
 *         payload   protobuf
 *         32 bytes  BLAKE2b-256 of all that precedes
 *
 * A reader accepts formats up to its own. The digest is against accidents; that nobody else wrote the file
 * is the store's business (root-only directory).
 *
 * The messages' C types (Ticket, Tree, Early, ...) are protobuf-c's, made from proto/ticket.proto.
 * Everything inside a message is malloc()ed, so that protobuf_c_message_free_unpacked() frees hand-made and
 * decoded ones alike.
 */

#include "model/digest.h"

#include "ticket.pb-c.h"

#include <stddef.h>
#include <stdint.h>

#define CODEC_FORMAT    1u
#define CODEC_MAX_BYTES (64u << 20) /* a ticket of 10,000 connections is below 1 MiB */
#define CODEC_DIGEST    DIGEST_SIZE

typedef enum CodecKind {
        CODEC_TICKET = 1,
        CODEC_EARLY = 2,
        CODEC_REQUEST = 3,
        CODEC_KEEP = 4,
        CODEC_TREE = 5,
} CodecKind;

/* The caller frees *ret. */
int codec_encode(CodecKind kind, const ProtobufCMessage *message, void **ret, size_t *ret_size);

/* -EBADMSG: cut short, altered, not ours, or nothing that codec_encode() could write again;
 * -EPROTONOSUPPORT: of a later format. `what` names the file in the sentence. Free with model_free(). */
int codec_decode(CodecKind kind, const char *what, const void *data, size_t size, ProtobufCMessage **ret);

/* SPDX-License-Identifier: GPL-2.0-or-later */

/* The frame is checked from the outside in: magic, format, kind, length, digest; only then is the payload
 * given to protobuf-c, whose own decoder bounds everything by that length. */

#include "model/codec.h"

#include "base/cleanup.h"
#include "base/err.h"
#include "model/model.h"

#include <endian.h>
#include <stdlib.h>
#include <string.h>

static const char magic[8] = {'C', 'R', 'R', 'Y', 'O', 'V', 'E', 'R'};

typedef struct Frame {
        char magic[8];
        uint32_t format;
        uint32_t kind;
        uint64_t length;
} Frame;

static const ProtobufCMessageDescriptor *descriptor_of(CodecKind kind) {
        switch (kind) {
        case CODEC_TICKET:
                return &ticket__descriptor;
        case CODEC_EARLY:
                return &early__descriptor;
        case CODEC_REQUEST:
                return &request__descriptor;
        case CODEC_KEEP:
                return &keep__descriptor;
        case CODEC_TREE:
                return &tree__descriptor;
        }
        return NULL;
}

int codec_encode(CodecKind kind, const ProtobufCMessage *message, void **ret, size_t *ret_size) {
        size_t payload = protobuf_c_message_get_packed_size(message);
        Frame frame = {.format = htole32(CODEC_FORMAT), .kind = htole32(kind), .length = htole64(payload)};
        uint8_t *bytes;

        if (payload > CODEC_MAX_BYTES - sizeof frame - CODEC_DIGEST) /* the reader's limit is the file's */
                return err_say(-E2BIG, "message too large for one file: %zu bytes", payload);
        bytes = malloc(sizeof frame + payload + CODEC_DIGEST);
        if (!bytes)
                return -ENOMEM;
        memcpy(frame.magic, magic, sizeof magic);
        memcpy(bytes, &frame, sizeof frame);
        protobuf_c_message_pack(message, bytes + sizeof frame);
        digest_bytes(bytes, sizeof frame + payload, bytes + sizeof frame + payload);
        *ret = bytes;
        *ret_size = sizeof frame + payload + CODEC_DIGEST;
        return 0;
}

/* protobuf-c keeps a field of the number 0, if that is written in two bytes, and refuses what it makes of
 * it: what is believed now must be believed when it is written again. */
static ProtobufCMessage *unpack(CodecKind kind, const uint8_t *payload, size_t size) {
        ProtobufCMessage *message = protobuf_c_message_unpack(descriptor_of(kind), NULL, size, payload);
        ProtobufCMessage *again = message ? model_copy(message) : NULL;

        if (!again) {
                model_free(message);
                return NULL;
        }
        model_free(again);
        return message;
}

int codec_decode(CodecKind kind, const char *what, const void *data, size_t size, ProtobufCMessage **ret) {
        uint8_t digest[CODEC_DIGEST];
        ProtobufCMessage *message;
        const uint8_t *bytes = data;
        uint64_t payload;
        Frame frame;

        if (size < sizeof frame + CODEC_DIGEST)
                return err_say(-EBADMSG, "%s is truncated (%zu bytes)", what, size);
        memcpy(&frame, bytes, sizeof frame);
        if (memcmp(frame.magic, magic, sizeof magic) != 0)
                return err_say(-EBADMSG, "%s is not a carryover file", what);
        if (le32toh(frame.format) > CODEC_FORMAT)
                return err_say(-EPROTONOSUPPORT,
                               "%s has format %u, this version of carryover supports up to %u: install a "
                               "newer version",
                               what, le32toh(frame.format), CODEC_FORMAT);
        payload = le64toh(frame.length);
        if (le32toh(frame.kind) != kind || payload != size - sizeof frame - CODEC_DIGEST)
                return err_say(-EBADMSG, "%s is truncated or has another type", what);
        digest_bytes(bytes, sizeof frame + payload, digest);
        if (memcmp(digest, bytes + sizeof frame + payload, CODEC_DIGEST) != 0)
                return err_say(-EBADMSG, "%s was modified: its checksum does not match", what);
        message = unpack(kind, bytes + sizeof frame, payload);
        if (!message)
                return err_say(-EBADMSG, "%s cannot be decoded", what);
        *ret = message;
        return 0;
}

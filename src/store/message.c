/* SPDX-License-Identifier: GPL-2.0-or-later */

#include "store/message.h"

#include "base/cleanup.h"
#include "base/err.h"
#include "base/fd.h"
#include "base/text.h"
#include "files/space.h"

static int put(int dir_fd, const char *name, CodecKind kind, const ProtobufCMessage *message,
               int (*replace)(int dir_fd, const char *name, const void *data, size_t size)) {
        _cleanup_(freep) void *bytes = NULL;
        size_t size;
        int r;

        r = codec_encode(kind, message, &bytes, &size);
        return r < 0 ? err_pass(r) : err_pass(replace(dir_fd, name, bytes, size));
}

int store_message_write(int dir_fd, const char *name, CodecKind kind, const ProtobufCMessage *message) {
        return put(dir_fd, name, kind, message, file_replace);
}

int store_message_note(int dir_fd, const char *name, CodecKind kind, const ProtobufCMessage *message) {
        return put(dir_fd, name, kind, message, space_replace);
}

int store_message_read(int dir_fd, const char *where, const char *name, CodecKind kind,
                       ProtobufCMessage **ret) {
        _cleanup_(freep) char *what = text_format("%s/%s", where, name), *bytes = NULL;
        size_t size;
        int r;

        if (!what)
                return -ENOMEM;
        r = file_slurp(dir_fd, name, CODEC_MAX_BYTES, &bytes, &size);
        if (r == -ENOENT)
                return 1;
        if (r < 0)
                return err_pass(r);
        return codec_decode(kind, what, bytes, size, ret);
}

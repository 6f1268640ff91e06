/* SPDX-License-Identifier: GPL-2.0-or-later */

#include "sys/store-message.h"

#include "base/cleanup.h"
#include "base/err.h"
#include "base/fd.h"
#include "base/text.h"

int store_message_write(int dir_fd, const char *name, CodecKind kind, const ProtobufCMessage *message) {
        _cleanup_(freep) void *bytes = NULL;
        size_t size;
        int r;

        r = codec_encode(kind, message, &bytes, &size);
        if (r < 0)
                return err_pass(r);
        return file_replace(dir_fd, name, bytes, size);
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

/* SPDX-License-Identifier: GPL-2.0-or-later */

/* CRIU writes what was never sent with repair mode off, so that it leaves at once; what was sent and not
 * acknowledged it puts into the queue, which leaves with the next timeout. By then both ends are there. */

#include "image/cure.h"

#include "base/cleanup.h"
#include "base/err.h"
#include "image/internal.h"
#include "model/model.h"

#include "criu-image.pb-c.h"

#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct End {
        struct {
                uint8_t local[16], remote[16];
                uint16_t local_port, remote_port;
        } name;
        uint32_t ino;
} End;

typedef struct Ends {
        End *items;
        size_t n;
} Ends;

static void ends_done(Ends *ends) {
        free(ends->items);
}

static int add_end(const ProtobufCMessage *message, void *userdata) {
        const ImgInetSocket *socket = ((const ImgFile *)message)->inet;
        Ends *ends = userdata;
        End end = {0};

        if (!socket || socket->proto != IPPROTO_TCP || socket->remote_port == 0)
                return 0;
        if (socket->local_port > UINT16_MAX || socket->remote_port > UINT16_MAX ||
            !image_address(socket, socket->local, socket->n_local, end.name.local) ||
            !image_address(socket, socket->remote, socket->n_remote, end.name.remote))
                return -EBADMSG;
        end.name.local_port = (uint16_t)socket->local_port;
        end.name.remote_port = (uint16_t)socket->remote_port;
        end.ino = socket->ino;
        return model_append(ends->items, ends->n, end);
}

static int by_name(const void *a, const void *b) {
        return memcmp(&((const End *)a)->name, &((const End *)b)->name, sizeof((const End *)a)->name);
}

static bool has_other_end(const Ends *ends, const End *end) {
        End other = {0};

        memcpy(other.name.local, end->name.remote, sizeof other.name.local);
        memcpy(other.name.remote, end->name.local, sizeof other.name.remote);
        other.name.local_port = end->name.remote_port;
        other.name.remote_port = end->name.local_port;
        return bsearch(&other, ends->items, ends->n, sizeof other, by_name);
}

static bool count_as_sent(ImgTcpStream *stream) {
        if (!stream->has_unsq_len || stream->unsq_len == 0)
                return false;
        stream->unsq_len = 0;
        return true;
}

int image_cure_loopback(int images_fd) {
        _cleanup_(ends_done) Ends ends = {0};
        int cured = 0, r;

        r = image_each_message(images_fd, "files.img", IMAGE_FILES, &img_file__descriptor, add_end, &ends);
        if (r == -ENOENT)
                return err_say(r, "the images have no files.img");
        if (r < 0)
                return err_pass(r);
        if (ends.n > 0)
                qsort(ends.items, ends.n, sizeof *ends.items, by_name);
        for (size_t i = 0; i < ends.n; i++) {
                char name[40];

                if (!has_other_end(&ends, ends.items + i))
                        continue;
                snprintf(name, sizeof name, "tcp-stream-%x.img", ends.items[i].ino);
                r = image_change_stream(images_fd, name, count_as_sent);
                if (r == -ENOENT) /* it is closed, and has no queue any more */
                        continue;
                if (r < 0)
                        return err_pass(r);
                cured += r;
        }
        return cured;
}

/* SPDX-License-Identifier: GPL-2.0-or-later */

/* A connection is in two places: addresses and state in files.img, queues and their numbers in a file of its
 * own that carries the socket's inode in its name. */

#include "image/image.h"

#include "base/cleanup.h"
#include "base/err.h"
#include "image/internal.h"
#include "model/model.h"

#include "criu-image.pb-c.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>

typedef struct Streams {
        int images_fd;
        PeerStream *items;
        size_t n;
} Streams;

static void streams_done(Streams *streams) {
        free(streams->items);
}

bool image_address(const ImgInetSocket *socket, const uint32_t *words, size_t n, uint8_t ret[static 16]) {
        static const uint8_t mapped[12] = {[10] = 0xff, [11] = 0xff};

        if (n != (socket->family == AF_INET ? 1 : 4))
                return false;
        memcpy(ret, mapped, sizeof mapped);
        memcpy(socket->family == AF_INET ? ret + sizeof mapped : ret, words, n * sizeof *words);
        return true;
}

static bool peer_may_send(const ImgInetSocket *socket) {
        return socket->proto == IPPROTO_TCP &&
               (socket->state == TCP_ESTABLISHED || socket->state == TCP_FIN_WAIT1 ||
                socket->state == TCP_FIN_WAIT2);
}

static int read_numbers(int images_fd, uint32_t ino, PeerStream *ret) {
        _cleanup_(image_message_freep) ProtobufCMessage *message = NULL;
        const ImgTcpStream *tcp;
        char name[40];
        int r;

        snprintf(name, sizeof name, "tcp-stream-%x.img", ino);
        r = image_first_message(images_fd, name, IMAGE_TCP_STREAM, &img_tcp_stream__descriptor, &message);
        if (r == -ENOENT) /* files.img says that there is one */
                return err_say(-EBADMSG, "image %s is missing", name);
        if (r < 0)
                return err_pass(r);
        tcp = (const ImgTcpStream *)message;
        if (tcp->unsq_len > tcp->outq_len)
                return err_say(-EBADMSG, "%s has more unsent bytes than its queue", name);
        ret->received = tcp->inq_seq;
        ret->sent = tcp->outq_seq - tcp->unsq_len;
        ret->acked = tcp->outq_seq - tcp->outq_len;
        return 0;
}

static int add_stream(const ProtobufCMessage *message, void *userdata) {
        const ImgInetSocket *socket = ((const ImgFile *)message)->inet;
        Streams *streams = userdata;
        PeerStream stream = {0};
        int r;

        if (!socket || !peer_may_send(socket))
                return 0;
        if (socket->local_port > UINT16_MAX || socket->remote_port > UINT16_MAX ||
            !image_address(socket, socket->local, socket->n_local, stream.local) ||
            !image_address(socket, socket->remote, socket->n_remote, stream.remote))
                return -EBADMSG;
        stream.local_port = (uint16_t)socket->local_port;
        stream.remote_port = (uint16_t)socket->remote_port;
        r = read_numbers(streams->images_fd, socket->ino, &stream);
        return r < 0 ? r : model_append(streams->items, streams->n, stream);
}

int image_streams(int images_fd, PeerStream **ret, size_t *ret_n) {
        _cleanup_(streams_done) Streams streams = {.images_fd = images_fd};
        int r;

        r = image_each_message(images_fd, "files.img", IMAGE_FILES, &img_file__descriptor, add_stream,
                               &streams);
        if (r == -ENOENT)
                return err_say(r, "image files.img is missing");
        if (r < 0)
                return err_pass(r);
        *ret_n = streams.n;
        *ret = TAKE(streams.items);
        return 0;
}

static int note(Traces *traces, const PeerStream *stream) {
        Stream *s = model_new(Stream, stream__init);
        int r;

        if (!s)
                return -ENOMEM;
        r = model_set_bytes(&s->local, stream->local, sizeof stream->local);
        if (r >= 0)
                r = model_set_bytes(&s->remote, stream->remote, sizeof stream->remote);
        s->local_port = stream->local_port;
        s->remote_port = stream->remote_port;
        s->received = stream->received;
        s->sent = stream->sent;
        s->acked = stream->acked;
        if (r >= 0)
                r = model_append(traces->streams, traces->n_streams, s);
        if (r < 0)
                model_free(s);
        return r;
}

int image_streams_note(int images_fd, Tree *tree) {
        _cleanup_(freep) PeerStream *streams = NULL;
        Traces *traces;
        size_t n;
        int r;

        r = image_streams(images_fd, &streams, &n);
        if (r < 0)
                return err_pass(r);
        tree->traces = traces = tree->traces ?: model_new(Traces, traces__init);
        if (!traces)
                return -ENOMEM;
        for (size_t i = 0; i < traces->n_streams; i++)
                model_free(traces->streams[i]);
        traces->n_streams = 0;
        for (size_t i = 0; r >= 0 && i < n; i++)
                r = note(traces, streams + i);
        return r;
}

static int read_note(const Stream *s, PeerStream *ret) {
        if (s->local.len != sizeof ret->local || s->remote.len != sizeof ret->remote ||
            s->local_port > UINT16_MAX || s->remote_port > UINT16_MAX)
                return err_say(-EBADMSG, "the ticket contains an invalid connection");
        memcpy(ret->local, s->local.data, sizeof ret->local);
        memcpy(ret->remote, s->remote.data, sizeof ret->remote);
        ret->local_port = (uint16_t)s->local_port;
        ret->remote_port = (uint16_t)s->remote_port;
        ret->received = s->received;
        ret->sent = s->sent;
        ret->acked = s->acked;
        return 0;
}

int image_streams_noted(const Tree *tree, PeerStream **ret, size_t *ret_n) {
        _cleanup_(freep) PeerStream *streams = NULL;
        size_t n = tree->traces ? tree->traces->n_streams : 0;

        if (!tree->traces)
                return 1;
        streams = calloc(n ?: 1, sizeof *streams);
        if (!streams)
                return -ENOMEM;
        for (size_t i = 0; i < n; i++) {
                int r = read_note(tree->traces->streams[i], streams + i);

                if (r < 0)
                        return err_pass(r);
        }
        *ret_n = n;
        *ret = TAKE(streams);
        return 0;
}

/* SPDX-License-Identifier: GPL-2.0-or-later */

/* Who must hear what became of a tree's connections. */

#include "base/cleanup.h"
#include "base/err.h"
#include "base/fd.h"
#include "restore/images.h"
#include "restore/restore.h"

#include <string.h>

static bool is_address(const uint8_t mapped[static 16], ProtobufCBinaryData address) {
        static const uint8_t prefix[12] = {[10] = 0xff, [11] = 0xff};

        if (address.len == 4)
                return memcmp(mapped, prefix, sizeof prefix) == 0 &&
                       memcmp(mapped + 12, address.data, 4) == 0;
        return address.len == 16 && memcmp(mapped, address.data, 16) == 0;
}

/* A peer knows a connection that this machine's own NAT changes by the other address of ours. Under its own,
 * a segment would be a second flow to connection tracking, which gives it another port. */
static void stream_outside(const Tree *tree, PeerStream *stream) {
        for (size_t i = 0; i < tree->n_wires; i++) {
                const Connection *wire = tree->wires[i];

                if (wire->remote_port != stream->remote_port || !is_address(stream->remote, wire->remote) ||
                    (wire->local.len != 4 && wire->local.len != 16))
                        continue;
                memcpy(stream->local + 16 - wire->local.len, wire->local.data, wire->local.len);
                stream->local_port = (uint16_t)wire->local_port;
                return;
        }
}

/* Without the bulk. */
static int small_images(const Store *store, const ImageKeys *keys, const Tree *tree) {
        _cleanup_(closep) int home_fd = store_tree_open(store, tree->name);

        return home_fd < 0 ? home_fd : images_readable(keys, tree, home_fd, false);
}

/* As the ticket has them; an older one leaves them to the images. */
static int tree_streams(const Store *store, const ImageKeys *keys, const Tree *tree, PeerStream **ret,
                        size_t *ret_n) {
        _cleanup_(closep) int images_fd = -1;
        int r = image_streams_noted(tree, ret, ret_n);

        if (r <= 0)
                return r;
        r = images_fd = small_images(store, keys, tree);
        return r < 0 ? r : image_streams(images_fd, ret, ret_n);
}

int restore_peers(const Store *store, const ImageKeys *keys, const Tree *tree, PeerStream **ret,
                  size_t *ret_n) {
        int r = tree_streams(store, keys, tree, ret, ret_n);

        for (size_t i = 0; r >= 0 && i < *ret_n; i++)
                stream_outside(tree, *ret + i);
        return r < 0 ? err_pass(r) : 0;
}

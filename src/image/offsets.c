/* SPDX-License-Identifier: GPL-2.0-or-later */

/* CRIU opens a file, puts it at its offset, and then asks whether it has the saved build id. Before 3.19 it
 * reads five bytes for that, and they are lost to the program: a copy of a library would lack them. So what
 * is open loses its build id. What is mapped has an entry of its own, and no offset; it keeps it. */

#include "image/cure.h"

#include "base/cleanup.h"
#include "base/err.h"
#include "image/image.h"
#include "image/internal.h"

#include "criu-image.pb-c.h"

#include <errno.h>

typedef struct Open {
        const uint32_t *ids; /* sorted */
        size_t n;
} Open;

/* protobuf-c frees the list by its pointer. */
static int forget(ProtobufCMessage *message, const void *userdata) {
        ImgFile *file = (ImgFile *)message;
        const Open *open = userdata;

        if (!file->reg || file->reg->n_build_id == 0 || !image_has_number(open->ids, open->n, file->id))
                return 0;
        file->reg->n_build_id = 0;
        return 1;
}

int image_cure_offsets(int images_fd) {
        _cleanup_(freep) uint32_t *ids = NULL;
        size_t n = 0;
        int r = image_open_files(images_fd, &ids, &n);

        if (r >= 0)
                r = image_rewrite(images_fd, "files.img", IMAGE_FILES, &img_file__descriptor, forget,
                                  &(const Open){ids, n});
        return r == -ENOENT ? 0 : err_pass(r); /* a tree that has nothing open */
}

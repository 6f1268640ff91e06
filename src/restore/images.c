/* SPDX-License-Identifier: GPL-2.0-or-later */

/* What is read here crossed the jump on a disk: nothing of it is used that is not as the ticket says. */

#include "restore/images.h"

#include "base/cleanup.h"
#include "base/err.h"
#include "base/fd.h"
#include "base/text.h"
#include "files/memory.h"
#include "model/box.h"
#include "model/codec.h"
#include "restore/restore.h"

#include <fcntl.h>
#include <string.h>
#include <unistd.h>

/* Opens an image that is as the ticket says. */
static int image_open_checked(const ImageKeys *keys, const ImageFile *file, int images_fd) {
        _cleanup_(closep) int fd = -1;
        uint64_t size;
        int r;

        if (!name_is_safe(file->name))
                return err_say(-EBADMSG, "the ticket contains an invalid image name");
        fd = openat(images_fd, file->name, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
        if (fd < 0)
                return err_born(-errno, "cannot open image %s", file->name);
        if (file->digest.len != DIGEST_SIZE)
                return err_say(-EBADMSG, "the ticket contains an invalid checksum");
        r = digest_image_is(fd, keys->digest, file->digest.data, &size);
        if (r < 0)
                return err_pass(r);
        if (r == 0 || size != file->size)
                return err_say(-EBADMSG, "image %s was modified after the seal; it was not used",
                               file->name);
        if (lseek(fd, 0, SEEK_SET) < 0)
                return err_born(-errno, "cannot rewind image %s", file->name);
        return TAKE_FD(fd);
}

int images_check(const ImageKeys *keys, const Tree *tree, int images_fd) {
        for (size_t i = 0; i < tree->n_images; i++) {
                _cleanup_(closep) int fd = image_open_checked(keys, tree->images[i], images_fd);

                if (fd < 0)
                        return err_pass(fd);
        }
        return 0;
}

/* Memory and files in memory: all of the size, and only CRIU and restore_files() read them. */
static bool is_bulk(const char *name) {
        return starts_with(name, "pages-") || strcmp(name, STORE_VOLATILE) == 0;
}

static int image_decrypt(const uint8_t *key, const ImageFile *file, int home_fd, int to_dir_fd) {
        _cleanup_(closep) int from = -1, to = -1;
        int r;

        if (!name_is_safe(file->name))
                return err_say(-EBADMSG, "the ticket contains an invalid image name");
        from = openat(home_fd, file->name, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
        if (from < 0)
                return err_born(-errno, "cannot open image %s", file->name);
        to = openat(to_dir_fd, file->name, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
        if (to < 0)
                return err_born(-errno, "cannot create image %s in memory", file->name);
        r = box_open(key, file->name, from, to);
        if (r >= 0 && lseek(to, 0, SEEK_SET) < 0)
                r = err_born(-errno, "cannot rewind image %s", file->name);
        return r < 0 ? err_pass(r) : TAKE_FD(to);
}

bool images_are_boxes(const Tree *tree, int home_fd) {
        _cleanup_(closep) int fd = -1;

        if (tree->n_images > 0 && name_is_safe(tree->images[0]->name))
                fd = openat(home_fd, tree->images[0]->name, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
        return fd >= 0 && box_is(fd);
}

bool restore_is_encrypted(const Store *store, const Tree *tree) {
        _cleanup_(closep) int home_fd = store_tree_open(store, tree->name);

        return home_fd >= 0 && images_are_boxes(tree, home_fd);
}

int images_readable(const ImageKeys *keys, const Tree *tree, int home_fd, bool bulk) {
        bool boxes = keys->box && images_are_boxes(tree, home_fd);
        _cleanup_(closep) int fd = boxes ? memory_directory() : openat(home_fd, ".", O_RDONLY | O_CLOEXEC);

        if (fd < 0)
                return boxes ? err_pass(fd) : err_born(-errno, "cannot open the images of %s", tree->name);
        for (size_t i = 0; boxes && i < tree->n_images; i++) {
                _cleanup_(closep) int image = -1;

                if (!bulk && is_bulk(tree->images[i]->name))
                        continue;
                image = image_decrypt(keys->box, tree->images[i], home_fd, fd);
                if (image < 0)
                        return err_pass(image);
        }
        return TAKE_FD(fd);
}

int images_archive(const ImageKeys *keys, const ImageFile *file, int home_fd) {
        _cleanup_(closep) int fd = image_open_checked(keys, file, home_fd), memory = -1;

        if (fd < 0 || !keys->box || !box_is(fd))
                return fd < 0 ? err_pass(fd) : TAKE_FD(fd);
        memory = memory_directory();
        return memory < 0 ? err_pass(memory) : image_decrypt(keys->box, file, home_fd, memory);
}

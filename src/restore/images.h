/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/* Inside this room: the images of a tree, in its directory of the store, which is home_fd. */

#include "model/model.h"

#include <stdbool.h>

/* All images of a tree are encrypted, or none is; trees of two saves may be in one ticket. */
bool images_are_boxes(const Tree *tree, int home_fd);

/* -EBADMSG: one is not as the ticket says. */
int images_check(const ImageKeys *keys, const Tree *tree, int home_fd);

/* A directory with the images as CRIU wrote them: those in the store, or a copy in memory, decrypted.
 * Without `bulk` that copy has neither the memory of the tree nor its files. */
int images_readable(const ImageKeys *keys, const Tree *tree, int home_fd, bool bulk);

/* The archive of a tree's files, as the save wrote it, after it was compared with the ticket. */
int images_archive(const ImageKeys *keys, const ImageFile *file, int home_fd);

/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

#include <stddef.h>

/* Our part of it. */
#define INITRD_PROGRAM "carryover-early" /* base name of what the initramfs hooks pack */
#define INITRD_EARLY                                                                                        \
        "carryover/early" /* what jump sends along: the Early message; read in the root of the initramfs */

/*
 * 1 if the initrd (a chain of newc archives, each packed or not, as Linux reads it) has a file of this base
 * name, 0 if not. -EBADMSG: it cannot be read as such.
 */
int initrd_contains(const char *path, const char *base_name);

/* An uncompressed newc cpio archive with one regular file (mode 0600, root) at `path` ("carryover/early")
 * and its parent directories, by libarchive. Caller frees *ret. */
int initrd_cpio_with(const char *path, const void *data, size_t size, void **ret, size_t *ret_size);

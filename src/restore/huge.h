/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/* Inside this room: a boot has no huge pages that nobody configured, so for the time of a restore the kernel
 * may make what the images want. */

#include "image/image.h"

typedef struct Huge {
        uint64_t bytes[IMAGE_HUGE_SIZES]; /* that were allowed */
} Huge;

/* What cannot be allowed may be there all the same: then CRIU says so. */
int huge_begin(int images_fd, Huge *ret);
void huge_end(Huge *huge);

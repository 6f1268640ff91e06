/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/* Inside this room: what lies outside the images, made anew as descriptors that CRIU inherits (docs/CRIU.md,
 * "Sockets with a peer outside", "FIFOs and pipes", "Terminals"). */

#include "restore/restore.h"

typedef struct Outside {
        CriuFd *fds;
        size_t n;
} Outside;

/* Opens everything that tree->externals names. On failure nothing is left open. */
int outside_open(const RestoreJob *job, const Tree *tree, Outside *ret);
void outside_close(Outside *outside);

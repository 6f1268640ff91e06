/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/* Inside this room: the terminals that a tree has made, under their numbers. */

#include "criu/job.h"
#include "model/model.h"
#include "tty/pty.h"

/* Their masters, out of the reserve, for CRIU. */
typedef struct Terminals {
        CriuMaster *masters;
        size_t n;
} Terminals;

/* One whose number is somebody else's by now gets another, in the images too, and the tree is told so. */
int terminals_take(PtyReserve *ptys, Tree *tree, int images_fd, Terminals *ret);
void terminals_close(Terminals *terminals);

/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/* Inside this room, for rights.c: the files that one process holds and that are not its user's own. */

#include "model/model.h"

#include <sys/types.h>

typedef struct HeldMount {
        unsigned major, minor;
        size_t length; /* of where it is mounted, and its hash */
        uint64_t point;
} HeldMount;

typedef struct HeldLook {
        Tree *noted;     /* what is filled */
        const Tree *had; /* or what is compared with */
        HeldMount *mounts;
        size_t n_mounts;
} HeldLook;

int held_begin(HeldLook *look);
void held_end(HeldLook *look);
int held_look(HeldLook *look, pid_t pid, uid_t uid);

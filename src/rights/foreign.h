/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/* Inside this room, for rights.c: the files that one process has open and that are not its user's own. */

#include "kernel/mounts.h"
#include "model/model.h"

#include <sys/types.h>

typedef struct ForeignLook {
        Tree *noted;     /* what is filled */
        const Tree *had; /* or what is compared with */
        Mounts mounts;
} ForeignLook;

int foreign_begin(ForeignLook *look);
void foreign_end(ForeignLook *look);
int foreign_look(ForeignLook *look, pid_t pid, uid_t uid);

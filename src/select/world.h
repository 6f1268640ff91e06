/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/* Where targets are looked for. */

#include "model/model.h"
#include "model/snapshot.h"

#include <stddef.h>

typedef struct SelectWorld {
        const Snapshot *all; /* SNAP_PROCESSES is enough */
        Session *const *sessions;
        size_t n_sessions;
} SelectWorld;

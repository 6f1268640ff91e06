/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

#include "model/model.h"
#include "systemd/bus.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/* The units that the trees come back in: one scope for each login session, shared by its trees. A scope
 * lives as long as there is a process in it; a waiting child of ours holds it open until scopes_release().
 */
#define SCOPE_NAME_MAX 160

typedef struct Scope {
        char name[SCOPE_NAME_MAX];
        char *cgroup;
        int procs_fd;
        pid_t holder;
} Scope;

typedef struct Scopes {
        Scope *items;
        size_t n;
} Scopes;

/* Makes (or finds) the scope of a tree; *ret stays the Scopes'. Not thread safe. */
int scopes_get(Scopes *scopes, Bus *manager, const Tree *tree, uint64_t deadline_monotonic,
               const Scope **ret);
void scopes_release(Scopes *scopes);
/* Whether a cgroup is that of the tree's scope. */
bool scope_is_of(const Tree *tree, const char *cgroup);

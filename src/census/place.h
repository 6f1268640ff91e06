/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/* Inside this room: where a process belongs, by its cgroup and by itself. */

#include "model/census.h"
#include "model/container.h"
#include "model/snapshot.h"

#define PLACE_NAME_MAX CONTAINER_NAME_MAX

typedef struct Place {
        ThingKind kind;
        char name[PLACE_NAME_MAX]; /* the session's id, the unit's name, "podman 0123456789ab", a cgroup */
        uid_t uid;                 /* of a session, and of what a user's manager has; else unknown */
        bool has_uid;
        bool is_manager; /* a user's service manager itself; its name is that unit's */
} Place;

void place_of(const SnapProcess *p, Place *ret);

/* What is nobody's to lose: PID 1, the kernel's threads, zombies, carryover itself. */
bool place_is_none(const SnapProcess *p);

/* "tmux" or "screen" if it serves their terminals, whether or not somebody looks at them; else NULL. */
const char *place_terminals(const SnapProcess *p);

/* A service that starts what is not its own: cron, at, sshd. */
bool place_spawns(const Place *place);
bool place_is_sshd(const Place *place);

/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/* Inside this room: the processes of one place, and how many of them are kept. */

#include "census/place.h"
#include "census/world.h"

typedef struct Group {
        Place place;
        pid_t server;             /* > 0: what this one serves or has started, wherever that is */
        const SnapProcess *first; /* the oldest of its roots */
        uid_t user;               /* the first of its processes that is not root's, else root */
        size_t n_processes, n_roots;
        size_t n_carried, n_refused, n_lossy; /* of the processes, by what is said of their trees */
        const Candidate *refused, *lossy;     /* the first of these trees */
        bool rest;                            /* of more places than are told apart */
} Group;

typedef struct Groups {
        Group *items;
        size_t n;
} Groups;

int census_groups(const CensusWorld *world, Groups *ret);
void census_groups_done(Groups *groups);

/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/* What rows are made of. */

#include "model/candidate.h"
#include "systemd/units.h"

typedef struct CensusWorld {
        const Snapshot *all; /* sorted; SNAP_PROCESSES is enough */
        Session *const *sessions;
        size_t n_sessions;
        pid_t asker;                                                  /* who wants to know; 0: nobody */
        const Candidates *kept;                                       /* judged */
        int (*ask)(void *userdata, const char *unit, UnitFacts *ret); /* as bus_unit_facts() */
        void *userdata;
} CensusWorld;

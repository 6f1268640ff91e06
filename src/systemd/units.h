/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/* What PID 1 knows of a unit that decides whether the next boot starts it. */

#include "systemd/bus.h"

#include <stdbool.h>

typedef struct UnitFacts {
        char *id;       /* its own name, if it was asked for by another one */
        bool loaded;    /* its file is there, or it is transient */
        bool active;    /* it has not ended */
        bool transient; /* made by a program, without a file (systemd-run) */
        bool passes;    /* the next boot does not know it as it is: its file or its link lies in /run, and no
                         * generator makes it; or it is masked */
        bool working;   /* a service that does one thing (oneshot), and is about it */
        bool on_demand; /* whoever asks for its name on D-Bus starts it; none enables it */
        char **starters; /* units that start it with themselves, or when something happens; ends with NULL */
} UnitFacts;

/* One or two questions to PID 1. `root` is "" or a directory for tests, where links to units are looked for.
 * A unit that PID 1 does not know is not loaded. */
int bus_unit_facts(Bus *bus, const char *root, const char *unit, UnitFacts *ret);
void unit_facts_done(UnitFacts *facts);

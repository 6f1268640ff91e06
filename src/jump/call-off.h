/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/* The way back from a reboot that was asked for, or from any shutdown whose save is under way, until the
 * seal. */

#include "model/config.h"
#include "model/model.h"
#include "systemd/bus.h"

typedef enum CallOff {
        CALL_OFF_BEGUN,   /* nothing is sealed any more: call_off_end() */
        CALL_OFF_NOTHING, /* no `carryover reboot` and no save is under way */
        CALL_OFF_LATE,    /* the save is sealed, and its shutdown goes on */
} CallOff;

/* Decides it against a save that may be about to seal. One that has only begun is
 * waited for until it can be called off; one that was first, until it is through. */
int call_off(const Config *config, CallOff *ret);

/* Waits until the save has let go of its trees (CRIU at work comes to its end), and takes the shutdown back
 * if that was not done by the save. 0: they run, nothing is held, and the system stays up. `since`: realtime
 * before call_off(); -EALREADY if something was sealed since then all the same. */
int call_off_end(const Config *config, uint64_t since);

/* The shutdown is cancelled, what stopped for it starts again, and what `carryover reboot` has left for it
 * goes: the request (NULL: somebody else's shutdown) and the loaded kernel. Does each of these, whichever
 * fails. */
int call_off_shutdown(Bus *manager, const Request *request);

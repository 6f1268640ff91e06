/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/*
 * A shutdown stops everything at once but for what is ordered: a process that is kept would get its SIGTERM
 * while the save looks at it. Login scopes have a drop-in of the package (units/session-.scope.d), the
 * scopes of what was restored are made so (systemd/bus.h); any other unit in which something is kept, a
 * service or the manager of a user, gets one in /run, which the next boot does not see.
 */

#include <stddef.h>
#include <stdint.h>

/* The units of these processes are stopped only after carryover.service, from now on: systemd has read it
 * when this returns. Processes that are gone do not matter. Answer: how many units were not ordered yet. */
int stop_order(const uint32_t *pids, size_t n);

/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/*
 * What a reboot now would end: from processes, sessions and units to rows, without looking at anything else.
 *
 * Every process belongs to one place, which its cgroup tells: a login session, a unit of the system's
 * manager or of a user's, a container; what lies in no such place is a row by its cgroup's name. A server of
 * tmux or screen is a place of its own with all below it, and so is what cron, at or an sshd without
 * sessions has started in its own service.
 *
 * No row: PID 1, the kernel's threads, zombies, carryover's own services, a user's manager itself with its
 * D-Bus, the screen of logind that asks who logs in; in a service or job, who asks, what has started that
 * and what that has started, but not what else runs there; and a service that the next boot starts anew
 * (census/boot.h) and of which nothing is kept. Such services are named in the list `anew`.
 */

#include "census/world.h"
#include "model/census.h"

/* Fills in things, anew and counts; names of users only where a session tells them. That PID 1 does not
 * answer is the reason in the rows that it concerns. -ENOMEM. */
int census_take(const CensusWorld *world, Census *ret);

/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/* One connection. systemd accepts it and starts a process for it, so that nobody waits for another one's
 * call, and what is too many is refused before it is a process (units/carryover-varlink.socket). */

#include "systemd/polkit.h"

/*
 * Answers the calls that come, one after the other, until the peer ends the connection, sends what is no
 * call, or is silent for a minute. What went wrong with the connection itself: a negative errno with its
 * sentence.
 */
int server_run(int fd, const PolkitSubject *peer);

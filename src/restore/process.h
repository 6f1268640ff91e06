/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/* Inside this room: what is done by a tree's numbers. */

#include "model/model.h"

/* Gives restored processes what CRIU does not restore (docs/CRIU.md, "What cannot be dumped"): affinity,
 * I/O priority and timer slack. Under the numbers that they have in the caller's PID namespace; one that has
 * ended meanwhile needs nothing. */
void processes_adjust(Process *const *processes, size_t n);

/* Whether a tree that somebody else has restored under its own numbers is there: 0, or -ESRCH. One that CRIU
 * has left unfinished is killed: -ECHILD. */
int processes_found(const char *criu, const Tree *tree);

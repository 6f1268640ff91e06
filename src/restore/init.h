/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/*
 * The door of carryover-init: PID 1 of a fresh PID namespace (docs/CRIU.md, "Process numbers"). Fixed
 * descriptors, then one for each inherited file: 3 InitJob in a memory file, 4 pipe for InitAnswers, 5
 * directory of the images, 6 cgroup.procs of the tree's scope, 7... inherited. Each answer is a u32 length
 * and an InitAnswer: first the host's PID of the init, then how the restore went.
 */

#define INIT_FD_JOB     3
#define INIT_FD_ANSWER  4
#define INIT_FD_IMAGES  5
#define INIT_FD_PROCS   6
#define INIT_FD_INHERIT 7

/* main() of carryover-init after its arguments are checked. Returns the exit status. */
int init_run(void);

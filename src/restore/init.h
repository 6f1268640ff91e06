/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/*
 * carryover-init: PID 1 of a fresh PID namespace (docs/CRIU.md, "Process numbers"). Fixed descriptors, then
 * one for each inherited file: 3 InitJob in a memory file, 4 pipe for InitAnswers, 5 directory of the
 * images, 6 cgroup.procs of the tree's scope, 7... inherited. Each answer is a u32 length and an InitAnswer:
 * first the host's PID of the init, then how the restore went.
 */

#include "criu/criu.h"
#include "model/model.h"

#define INIT_FD_JOB     3
#define INIT_FD_ANSWER  4
#define INIT_FD_IMAGES  5
#define INIT_FD_PROCS   6
#define INIT_FD_INHERIT 7

int init_answer_write(int fd, const InitAnswer *answer);
/* -ENODATA if the other side is gone. Free with model_free(). */
int init_answer_read(int fd, InitAnswer **ret);

/* Runs `job` (images_fd, fds, criu, timeout, lock_skip, shell_job, cgroup_procs_fd) inside a fresh PID
 * namespace, and gives the tree's processes there what CRIU does not. *ret_pid: the host's PID of the
 * namespace's init, whose end is the end of the tree. A failure leaves nothing of it, or says so: the init
 * and everybody in its namespace have ended (-ETIMEDOUT: it did not answer when CRIU must have, and was
 * killed). */
int namespace_restore(const CriuJob *job, const Tree *tree, pid_t *ret_pid);

/* main() of carryover-init after its arguments are checked. Returns the exit status. */
int init_run(void);

/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/* Inside this room: a restore in a fresh PID namespace. */

#include "criu/criu.h"
#include "model/model.h"

/* Runs `job` (images_fd, fds, criu, timeout, lock_skip, saves.barriers, shell_job, cgroup_procs_fd) inside a
 * fresh PID namespace, and gives the tree's processes there what CRIU does not. *ret_pid: the host's PID of
 * the namespace's init, whose end is the end of the tree. A failure leaves nothing of it, or says so: the
 * init and everybody in its namespace have ended (-ETIMEDOUT: it did not answer when CRIU must have, and was
 * killed). */
int namespace_restore(const CriuJob *job, const Tree *tree, pid_t *ret_pid);

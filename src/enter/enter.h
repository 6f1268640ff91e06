/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/*
 * A tree whose process numbers were taken lives in a PID namespace of its own. The way in is the tree's init
 * (proc/ns.h). Nothing can leave such a namespace, so the way out is a shell that systemd starts on the
 * host, on a terminal that this process shows (systemd/bus-service.h).
 */

#include "model/model.h"

#include <sys/types.h>

/*
 * The host's PID of a tree's init. name: the tree's name or its target. report: of the last restore, NULL if
 * there was none; a number that it tells of another boot than `boot` is somebody else's by now. -ENOENT: no
 * tree of that name was carried into this boot. -EINVAL: it lives in the host's own namespaces.
 */
int enter_find(const Ticket *report, const char *boot, const char *name, pid_t *ret);

/* Runs a command (NULL-terminated, may be empty: the caller's shell) in the namespaces of a tree, and waits
 * for it. *ret: its exit status, as ns_run() tells it. */
int enter_tree(pid_t init, const char *const *command, int *ret);

/*
 * Shows a login shell on the host until it ends: that of the user who called sudo, or the caller's own.
 * -ENOTTY: standard input and output are no terminal. *ret: its exit status, 128 + the signal if one killed
 * it.
 */
int enter_host(int *ret);

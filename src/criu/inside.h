/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/* Inside this room: a CRIU in the PID and mount namespaces of a pidfd. */

#include <sys/types.h>

/* As fork(), but the child is in the PID namespace. Blocks no signals. */
int inside_fork(int pidfd);

/* In the child, by system calls alone: goes to the mount namespace as well, makes a socket pair, puts one
 * end at `number` and sends the other through `control`. Negative errno. */
int inside_join(int pidfd, int control, int number);

/* In the parent: that other end. Negative with a sentence if the child does not send it. */
int inside_socket(int control, int *ret);

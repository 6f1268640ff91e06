/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

#include <sys/types.h>

#pragma GCC visibility push(hidden) /* CRIU's libraries have names, too */

/* A terminal that waits for CRIU, if that is what it opens; -1: it is not, or there is none. */
int ctty_open(const char *path, int flags);

pid_t ctty_setsid(void);

#pragma GCC visibility pop

/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/* Inside this room: what a tree needs of the next boot before anything of it is opened. */

#include "restore/restore.h"

/*
 * Waits for its addresses and routes, which its mounts may come by, then for its mounts, for under a mount
 * point there may be files of the same names, and then for its AppArmor profiles. 0; -ETIMEDOUT, with the
 * sentence naming the first thing missing; -ECANCELED: the job's stop_fd. *ret_tcp_close: its network did
 * not come, and it is restored with its connections closed.
 */
int needs_wait(const RestoreJob *job, Tree *tree, bool *ret_tcp_close);

/* Whether what its files in memory are put back into is mounted. Waits for nothing: the boot waits for
 * us. */
int needs_for_files(const Tree *tree);

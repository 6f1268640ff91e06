/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/* Inside this room: the files of a tree that the next boot does not have (SnapFd.is_volatile), and the
 * directories that it watches. */

#include "files/pax.h"
#include "model/model.h"
#include "model/snapshot.h"

/*
 * Writes them as STORE_VOLATILE beside the images, with the directories that lead there. The tree stands
 * frozen and `full` shows it as it stands. Writes nothing if there are none. -ESTALE: one of them has lost
 * its name, so no restore would find it. -EPERM: a file is watched that nobody has open. -EDQUOT: all that
 * takes more than limits->bytes, holes included, and -E2BIG: than limits->entries names; nothing is read
 * beyond.
 */
int files_save(const Snapshot *full, const Tree *tree, const PaxLimits *limits, int images_fd);

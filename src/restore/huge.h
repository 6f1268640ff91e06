/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/* Inside this room: huge pages for one tree (restore.h has those of all). */

#include "model/model.h"

/* Others may have taken what restore_huge_begin() made: makes them once more. Returns how many of the tree's
 * pages there are not. It counts what is shared more than once, so they may be enough. Thread safe. */
uint64_t huge_begin(const Tree *tree);
void huge_end(const Tree *tree);

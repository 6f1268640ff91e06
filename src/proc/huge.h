/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/* Inside this room: huge pages. */

#include "model/snapshot.h"

/* Fills s->huge_by_boot. */
void procfs_huge(Snapshot *s);

/* How many pages a file of sysctl.d(5) asks for; 0: it does not. */
uint64_t huge_setting(const char *text);

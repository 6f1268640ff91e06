/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/* Inside this room: huge pages. */

#include "model/snapshot.h"

/* Fills s->huge_by_boot, huge_most, strict and promisable. */
void procfs_memory(Snapshot *s);

/* The size of the pages that a file in memory has, if they are huge; else 0. No server is asked. */
uint64_t huge_page(int pid_dir, const char *link);
/* Counts bytes in pages of this size with p's; 0: they are not huge. */
void huge_add(SnapProcess *p, uint64_t bytes, uint64_t page);

/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/*
 * Overwriting what a file holds before it is removed. It reaches the blocks of the disk only where the file
 * system writes a file's new bytes over its old ones (ext2, ext3, ext4, xfs), and there not the copies that
 * a journal of data or the disk itself may have made: flash memory writes elsewhere. Telling the disk to
 * forget (discard) would be less: whether it does, and when, is its own affair.
 */

#include <stdbool.h>
#include <stdint.h>

/* Whether the file system of this directory writes in place. */
bool wipe_reaches(int dir_fd);

/* This thread makes way for everybody else who wants the disk or a processor, from now on. */
void wipe_quietly(void);

/*
 * Overwrites the regular file `name` with zeros, on disk when this returns; holes stay holes. Answer 1:
 * stop_fd (or -1) has become readable, so far it is half done. -ETIMEDOUT: so it is at deadline_monotonic.
 */
int wipe_file(int dir_fd, const char *name, uint64_t deadline_monotonic, int stop_fd);

/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/* The numbers of this boot and of its next processes. */

#include <stdint.h>

/* "uname -r", boot id (36 characters), both into the caller's buffers. */
int system_kernel(char release[static 128]);
int system_boot_id(char id[static 37]);

/* Raises ns_last_pid (and pid_max where needed) so that no new process gets a number <= pid; never lowers
 * it. */
int system_pids_lift(uint32_t pid);

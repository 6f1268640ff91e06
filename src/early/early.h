/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/*
 * The first moments of the next boot, in two places: in the initramfs, before udev and any network, and in
 * the real root, before network-pre.target and whatever loads firewall rules or logs somebody in.
 *
 * Early boot is humble: each step stands alone, a failure is said and the next step is taken, and nothing
 * here stops or waits.
 */

#include "model/config.h"

#include <stdbool.h>

/* Says one sentence with a syslog priority: in the initramfs to /dev/kmsg, in the real root to the
 * journal. */
typedef void (*EarlySay)(int priority, const char *sentence);

/* Whether the kernel command line says carryover=off. Then nothing of the last boot is touched: no hold, no
 * claim, no restore; the ticket stays sealed for a later boot. */
bool early_off(void);

/*
 * In the initramfs: reads /carryover/early, puts the key of the images into the kernel's keyring, lifts the
 * process numbers, loads the hold's modules, puts the hold on. Without that file (a boot that was no jump)
 * it does nothing. Refuses to run anywhere else: root must be a ramfs or tmpfs. Returns how many steps
 * failed.
 */
int early_initramfs(EarlySay say);

/*
 * In the real root: if the store has a sealed ticket, lifts the process numbers, puts the hold on (also
 * where it stands, and without a gap: by the backend that this system has), loads the drivers of the network
 * devices that the connections need, and claims the ticket (the restore takes it up from there). A hold
 * without a ticket is taken off, so that its peers get an answer. Without either only the first sessions get
 * numbers that can be carried. Returns how many steps failed.
 *
 * What CRIU needs for the next save (flow: modules_prepare()) is not loaded here: a restore does without,
 * and the network waits for us. carryover.service does it.
 *
 * Terminal numbers are not reserved here: a reservation is open descriptors, which end with this process;
 * carryover-restore makes it (tty/pty.h) before any login is possible.
 */
int early_service(const Config *config, EarlySay say);

/* The modules that the initramfs must contain, NULL-terminated. */
const char *const *early_modules(void);

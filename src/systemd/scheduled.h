/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/* The shutdown that somebody has scheduled ("shutdown -r +5"), from logind's file of it
 * (/run/systemd/shutdown/scheduled, root's own). */

#include <stdint.h>

typedef struct Scheduled {
        char action[16];   /* "reboot", "poweroff", "halt", "kexec", ... */
        uint64_t realtime; /* usec */
} Scheduled;

/* Answer 1: there is none, or it cannot be understood. */
int scheduled_shutdown(const char *root, Scheduled *ret);

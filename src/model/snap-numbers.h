/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/* Numbers of a process. */

#include <stdint.h>
#include <sys/types.h>

/* As the innermost PID namespace of a process has them; 0: led by nobody in there. */
typedef struct SnapNumbers {
        pid_t pid, pgid, sid;
} SnapNumbers;

/* How late the timers of a thread may ring. */
typedef struct SnapSlack {
        pid_t tid; /* as the innermost PID namespace has it */
        uint64_t nsec;
} SnapSlack;

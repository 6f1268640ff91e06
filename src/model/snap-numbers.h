/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/* Numbers of a process. */

#include <sys/types.h>

/* As the innermost PID namespace of a process has them; 0: led by nobody in there. */
typedef struct SnapNumbers {
        pid_t pid, pgid, sid;
} SnapNumbers;

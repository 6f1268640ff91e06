/* SPDX-License-Identifier: GPL-2.0-or-later */

#include "restore/process.h"

#include <linux/ioprio.h>
#include <sched.h>
#include <sys/syscall.h>
#include <unistd.h>

void processes_adjust(Process *const *processes, size_t n) {
        for (size_t i = 0; i < n; i++) {
                const Process *p = processes[i];

                if (p->has_affinity)
                        (void)sched_setaffinity((pid_t)p->pid, p->affinity.len,
                                                (const cpu_set_t *)p->affinity.data);
                if (p->has_ioprio)
                        (void)syscall(SYS_ioprio_set, IOPRIO_WHO_PROCESS, (int)p->pid, p->ioprio);
        }
}

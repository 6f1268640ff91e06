/* SPDX-License-Identifier: GPL-2.0-or-later */

/*
 * CRIU before 3.19 saves nothing of what a process has registered for with membarrier(2), and the kernel
 * tells nobody else. A program that relies on it breaks: its barriers are refused with EPERM, or, worse,
 * those of others do not reach it any more. So whatever such a CRIU restores is registered for all of them.
 * Memory keeps that over fork(2), and the processes of a tree are CRIU's children: once here is enough.
 * Whoever has not asked for it does not notice, but for an interrupt when others ask for barriers.
 *
 * CARRYOVER_BARRIERS=all: it is needed.
 */

#include <linux/membarrier.h>
#include <stddef.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <unistd.h>

__attribute__((constructor)) static void register_for_barriers(void) {
        static const int commands[] = {
                        MEMBARRIER_CMD_REGISTER_GLOBAL_EXPEDITED,
                        MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED,
                        MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED_SYNC_CORE,
                        MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED_RSEQ,
        };

        if (!getenv("CARRYOVER_BARRIERS"))
                return;
        for (size_t i = 0; i < sizeof commands / sizeof *commands; i++)
                (void)syscall(SYS_membarrier, commands[i], 0, 0); /* what this kernel has not, nobody had */
}

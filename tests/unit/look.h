/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/* What a look at this test program, and at its children, shows. */

#include "proc/procfs.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <unistd.h>

#include <cmocka.h>

static inline const SnapFd *fd_of(const SnapProcess *p, int fd) {
        for (size_t i = 0; i < p->n_fds; i++)
                if (p->fds[i].fd == fd)
                        return p->fds + i;
        fail_msg("the snapshot has no descriptor %d", fd);
        return NULL;
}

/* A process of this program's tree. A snapshot of before is freed. */
static inline const SnapProcess *look_at(pid_t pid, Snapshot **s) {
        pid_t self = getpid();
        const SnapProcess *p;

        *s = snapshot_free(*s);
        assert_int_equal(snapshot_take(SNAP_FULL, &self, 1, s), 0);
        p = snapshot_process(*s, pid);
        assert_non_null(p);
        return p;
}

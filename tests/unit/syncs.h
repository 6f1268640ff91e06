/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/* How often the disk is waited for. The linker leads the callers here (--wrap=fsync, meson.build). */

static unsigned syncs;

int __real_fsync(int fd);
int __wrap_fsync(int fd);

int __wrap_fsync(int fd) {
        syncs++;
        return __real_fsync(fd);
}

/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/* A /run of the test's own, in a mount namespace of its own: what is noted there is not the machine's. */

#include <sched.h>
#include <stdio.h>
#include <sys/mount.h>
#include <unistd.h>

/* What main() is to end with, or 0: go on. */
static inline int own_run(void) {
        if (geteuid() != 0) {
                printf("skipped: needs root for a mount namespace\n");
                return 77;
        }
        if (unshare(CLONE_NEWNS) < 0 || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0 ||
            mount("tmpfs", "/run", "tmpfs", 0, "mode=0755") < 0) {
                perror("cannot make a /run of the test's own");
                return 1;
        }
        return 0;
}

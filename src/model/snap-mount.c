/* SPDX-License-Identifier: GPL-2.0-or-later */

#include "model/snap-mount.h"

#include "base/cleanup.h"
#include "base/text.h"

#include <stdlib.h>
#include <string.h>

void snap_mount_done(SnapMount *m) {
        free(m->source);
        free(m->type);
        free(m->root);
        free(m->point);
        *m = (SnapMount){0};
}

bool snap_mount_is_given(const SnapMount *m) {
        static const char *const kernels[] = {"proc",     "sysfs",      "devtmpfs", "devpts",  "cgroup",
                                              "cgroup2",  "mqueue",     "pstore",   "bpf",     "securityfs",
                                              "debugfs",  "tracefs",    "configfs", "fusectl", "hugetlbfs",
                                              "efivarfs", "binfmt_misc"};
        static const char *const memory[] = {"/run", "/run/lock", "/tmp", "/dev", "/dev/shm"};

        if (strcmp(m->point, "/") == 0)
                return true;
        for (size_t i = 0; i < ELEMENTS(kernels); i++)
                if (strcmp(m->type, kernels[i]) == 0)
                        return true;
        if (strcmp(m->type, "tmpfs") != 0)
                return false;
        for (size_t i = 0; i < ELEMENTS(memory); i++)
                if (strcmp(m->point, memory[i]) == 0)
                        return true;
        return starts_with(m->point, "/run/user/") && !strchr(m->point + strlen("/run/user/"), '/');
}

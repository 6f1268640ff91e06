/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/*
 * What a cgroup restricts, by the kernel's word, whoever set it: PID 1, a user's service manager, a
 * container's runtime. A tree comes back in another cgroup, and must not have more there than it had.
 */

#include "model/model.h"

/* A restriction that a scope cannot be given when it is made. */
typedef struct CgroupBar {
        char *text; /* "/user.slice/x.scope lets its processes ... (DevicePolicy=)"; NULL: there is none */
        char *remedy;
} CgroupBar;

void cgroup_bar_done(CgroupBar *bar);

/*
 * Lowers `limits` to what the parts of a cgroup's path below its innermost slice of the system's manager
 * allow (that slice comes back with what it has); the first bar of theirs, where *bar has none, goes there.
 * A cgroup that is gone restricts nothing. For tests `root` is another directory than CGROUP_ROOT.
 */
#define CGROUP_ROOT "/sys/fs/cgroup"
int cgroup_limits(const char *root, const char *cgroup, Limits *limits, CgroupBar *bar);

/* The same for what comes back in the slices of `other`: slices of its own count, too. */
int cgroup_limits_beside(const char *root, const char *cgroup, const char *other, Limits *limits,
                         CgroupBar *bar);

/* Whether memory or processor time is limited further by `a` than by `b`. Tasks are not asked for: every
 * unit has a default for those, which is nobody's restriction. */
bool cgroup_limits_are_tighter(const Limits *a, const Limits *b);

/* SPDX-License-Identifier: GPL-2.0-or-later */

/* What files lie on. CRIU opens them by name: where no boot mounts what they lie on, there is nothing, or
 * another file under the mount point. */

#include "preflight/checks.h"

#include <string.h>

static int check_mount(const Check *c, const SnapProcess *p, const SnapMount *m) {
        Who who;

        if (strcmp(m->type, "hugetlbfs") == 0)
                return note_refused(c, "huge-pages", "stop the program before the reboot",
                                    "%s has a file open on %s (hugetlbfs); the file will not exist after "
                                    "the reboot",
                                    check_who(p, &who), m->point);
        if (m->origin == MOUNT_BY_HAND)
                return note_refused(c, "mount", "add the mount to /etc/fstab, or close the files on it",
                                    "%s uses %s, where %s (%s) was mounted by hand; the next boot will not "
                                    "mount it",
                                    check_who(p, &who), m->point, m->source, m->type);
        if (m->origin == MOUNT_UNUSED)
                return note_refused(c, "mount",
                                    "remove noauto from its line in /etc/fstab, enable its mount unit, or "
                                    "close the files on it",
                                    "%s uses %s; the boot does not mount %s (%s) there automatically",
                                    check_who(p, &who), m->point, m->source, m->type);
        return 0;
}

int check_mounts(const Check *c) {
        int r = 0;

        for (size_t i = 0; r >= 0 && i < c->m->s->n_mounts; i++) {
                const SnapMount *m = c->m->s->mounts + i;
                const bool asked = !snap_mount_is_given(m) || strcmp(m->type, "hugetlbfs") == 0;
                const SnapProcess *p = asked ? members_stand_on(c->m, m->id) : NULL;

                r = p ? check_mount(c, p, m) : 0;
        }
        return r;
}

/* SPDX-License-Identifier: GPL-2.0-or-later */

/* What files lie on. CRIU opens them by name: where no boot mounts what they lie on, there is nothing, or
 * another file under the mount point. */

#include "preflight/checks.h"

static int check_mount(const Check *c, const SnapProcess *p, const SnapMount *m) {
        Who who;

        if (m->origin == MOUNT_BY_HAND)
                return note_refused(c, "mount", "put it into /etc/fstab, or close what lies there",
                                    "%s uses %s, where %s (%s) was mounted by hand, so that no boot does it",
                                    check_who(p, &who), m->point, m->source, m->type);
        if (m->origin == MOUNT_UNUSED)
                return note_refused(
                                c, "mount",
                                "take noauto out of its line in /etc/fstab, or enable its unit, or close "
                                "what lies there",
                                "%s uses %s, where no boot mounts %s (%s) by itself", check_who(p, &who),
                                m->point, m->source, m->type);
        return 0;
}

int check_mounts(const Check *c) {
        int r = 0;

        for (size_t i = 0; r >= 0 && i < c->m->s->n_mounts; i++) {
                const SnapMount *m = c->m->s->mounts + i;
                const SnapProcess *p = snap_mount_is_given(m) ? NULL : members_stand_on(c->m, m->id);

                r = p ? check_mount(c, p, m) : 0;
        }
        return r;
}

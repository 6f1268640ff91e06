/* SPDX-License-Identifier: GPL-2.0-or-later */

/* A tree comes back in one scope. What restricts all of it is put on that; what restricts only some of its
 * processes, or is no limit that a scope can be made with, refuses it. */

#include "systemd/restrictions.h"

#include "base/cleanup.h"
#include "base/err.h"
#include "base/text.h"
#include "model/cgroup-path.h"
#include "systemd/bus.h"
#include "systemd/cgroup-limits.h"

#include <string.h>

typedef struct Looked {
        const char **cgroups;
        size_t n;
} Looked;

static bool looked_at(const Looked *looked, const char *cgroup) {
        for (size_t i = 0; i < looked->n; i++)
                if (strcmp(looked->cgroups[i], cgroup) == 0)
                        return true;
        return false;
}

/* One that others of the tree are in, beside its root's, in whose slices all come back. */
static int look_at_member(const SnapProcess *p, const char *root, const Limits *of_root, CgroupBar *bar) {
        Limits limits = LIMITS__INIT;
        int r = cgroup_limits_beside(CGROUP_ROOT, p->cgroup, root, &limits, bar);

        if (r < 0 || bar->text || !cgroup_limits_are_tighter(&limits, of_root))
                return r < 0 ? err_pass(r) : 0;
        bar->text = text_format("process %d has stricter limits than the others, set by %s", (int)p->pid,
                                p->cgroup);
        bar->remedy = strdup("remove the limits if the process does not need them, or stop the process");
        return bar->text && bar->remedy ? 0 : -ENOMEM;
}

/* Nothing in a cgroup shows it. */
static int look_at_service(const char *cgroup, CgroupBar *bar) {
        const char *at = cgroup_below_slices(cgroup);
        _cleanup_(freep) char *unit = at[0] ? strndup(at + 1, strcspn(at + 1, "/")) : strdup("");
        _cleanup_(bus_closep) Bus *manager = NULL;
        int r;

        if (!unit)
                return -ENOMEM;
        if (bar->text || !ends_with(unit, ".service"))
                return 0;
        r = bus_open_manager(&manager);
        if (r >= 0)
                r = bus_service_restricts_files(manager, unit);
        if (r <= 0)
                return r < 0 ? err_pass(r) : 0;
        bar->text = text_format("%s restricts the file systems of its processes (RestrictFileSystems=); "
                                "they would be restored without this restriction",
                                unit);
        bar->remedy = strdup("remove RestrictFileSystems= from the unit if the processes do not need it");
        return bar->text && bar->remedy ? 0 : -ENOMEM;
}

static int look(const Snapshot *s, pid_t root, Limits *limits, CgroupBar *bar) {
        _cleanup_(freep) const SnapProcess **members = NULL;
        _cleanup_(freep) const char **cgroups = NULL;
        Looked looked = {0};
        size_t n;
        int r;

        r = snapshot_tree(s, root, &members, &n);
        if (r < 0 || !members[0]->cgroup)
                return r == -ESRCH ? 0 : err_pass(r);
        looked.cgroups = cgroups = calloc(n, sizeof *cgroups);
        if (!cgroups)
                return -ENOMEM;
        r = cgroup_limits(CGROUP_ROOT, members[0]->cgroup, limits, bar);
        if (r >= 0)
                r = look_at_service(members[0]->cgroup, bar);
        looked.cgroups[looked.n++] = members[0]->cgroup;
        for (size_t i = 1; r >= 0 && !bar->text && i < n; i++) {
                if (!members[i]->cgroup || looked_at(&looked, members[i]->cgroup))
                        continue;
                r = look_at_member(members[i], members[0]->cgroup, limits, bar);
                looked.cgroups[looked.n++] = members[i]->cgroup;
        }
        return r < 0 ? err_pass(r) : 0;
}

int restrictions_note(const Snapshot *s, Tree *tree, Verdict *verdict) {
        _cleanup_(cgroup_bar_done) CgroupBar bar = {0};
        Limits *limits = model_new(Limits, limits__init);
        int r;

        if (!limits)
                return -ENOMEM;
        r = look(s, (pid_t)tree->root_pid, limits, &bar);
        model_free(tree->limits);
        tree->limits = limits;
        if (r == -ENOMEM)
                return r;
        if (r < 0) /* what cannot be seen may restrict it */
                return verdict_add(verdict, VERDICT_REFUSED, "restricted", NULL, "%s", err_text(r));
        if (!bar.text)
                return 0;
        return verdict_add(verdict, VERDICT_REFUSED, "restricted", bar.remedy, "%s", bar.text);
}

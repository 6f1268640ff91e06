/* SPDX-License-Identifier: GPL-2.0-or-later */

/*
 * What must never be carried is what the next kernel's boot starts anew, and what this shutdown needs to its
 * end: a copy of it, restored beside the new one, would take its sockets and its place.
 */

#include "select/tree.h"

#include "base/cleanup.h"
#include "base/err.h"
#include "base/text.h"
#include "model/cgroup-path.h"

#include <stdio.h>
#include <string.h>

/* The executable, which a process that is root's cannot have had chosen for it by somebody else. */
static bool runs_sshd(const SnapProcess *p) {
        static const char *const names[] = {"/sshd", "/sshd-session"}; /* OpenSSH 9 and 10 */

        for (size_t i = 0; p->exe && i < ELEMENTS(names); i++)
                if (ends_with(p->exe, names[i]))
                        return true;
        return false;
}

bool select_is_sshd(const SnapProcess *p) {
        return p->uid == 0 && p->euid == 0 && runs_sshd(p);
}

/* One that somebody with root's rights has started inside his session is a program like any other. */
bool select_is_listener(const SnapProcess *p) {
        char id[SESSION_ID_MAX];
        uint32_t uid;

        return select_is_sshd(p) && strcmp(p->comm, "sshd") == 0 && strstr(p->title, "[listener]") &&
               !cgroup_session(p->cgroup, &uid, id);
}

/* What this one is, of which every boot starts its own; NULL: it may be carried. */
static const char *boots_own(const SnapProcess *p) {
        static const struct {
                const char *unit, *why;
        } services[] = {
                        {"systemd-logind.service", "logind"},
                        {"systemd-journald.service", "journal service"},
                        {"systemd-udevd.service", "udev"},
                        {"dbus.service", "system bus"},
                        {"dbus-broker.service", "system bus"},
                        {"carryover.service", "carryover"},
                        {"carryover-early.service", "carryover"},
                        {"carryover-restore.service", "carryover"},
        };

        if (p->pid == 1)
                return "PID 1";
        if (p->kernel_thread)
                return "kernel threads";
        if (select_is_listener(p))
                return "sshd listener";
        if (cgroup_is_user_manager(p->cgroup))
                return "user service manager";
        for (size_t i = 0; i < ELEMENTS(services); i++)
                if (cgroup_in_unit(p->cgroup, services[i].unit))
                        return services[i].why;
        return NULL;
}

static int check_members(const SnapProcess **members, size_t n, pid_t caller) {
        if (members[0]->pid == caller)
                return err_say(-EPERM, "process %d is this command: keep its session instead", (int)caller);
        for (size_t i = 0; i < n; i++) {
                const char *why = boots_own(members[i]);

                char comm[sizeof members[i]->comm];

                if (!why)
                        continue;
                snprintf(comm, sizeof comm, "%s", members[i]->comm);
                text_tame(comm);
                if (i == 0)
                        return err_say(-EPERM, "%s (%d) cannot be carried: every boot starts its own %s",
                                       comm, (int)members[i]->pid, why);
                return err_say(-EPERM,
                               "the tree of process %d contains %s (%d), and every boot starts its own %s: "
                               "choose a smaller tree",
                               (int)members[0]->pid, comm, (int)members[i]->pid, why);
        }
        return 0;
}

/* The monitor of a privilege-separated sshd is root's; whose session it is shows in its child, an sshd that
 * has become its user. Below that are programs of his, which may have become somebody else again. */
static uint32_t user_of_sshd(const SnapProcess **members, size_t n) {
        for (size_t i = 1; i < n; i++)
                if (members[i]->ppid == members[0]->pid && members[i]->uid != 0 && runs_sshd(members[i]))
                        return members[i]->uid;
        return members[0]->uid;
}

/*
 * Whose terminals the tree may have again, and whose part of the store it takes. In a session the user's
 * whose session it is, as PID 1 and logind agree: also for the root of a tree that is root's, its leader
 * (sshd, login) or a job that was begun with sudo. Who runs there as a third user is himself. Elsewhere
 * everybody is.
 */
static int owner(const SnapProcess **members, size_t n, const Session *session, uint32_t *ret) {
        const SnapProcess *root = members[0];
        char id[SESSION_ID_MAX];
        uint32_t uid;

        if (!cgroup_session(root->cgroup, &uid, id)) {
                *ret = select_is_sshd(root) ? user_of_sshd(members, n) : root->uid;
                return 0;
        }
        if (session && session->uid != uid)
                return err_say(-EPERM,
                               "session %s belongs to user %u according to logind, but to user %u according "
                               "to systemd",
                               id, session->uid, uid);
        *ret = root->uid == 0 ? uid : root->uid;
        return 0;
}

static int by_number(const void *a, const void *b) {
        uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

        return x < y ? -1 : x > y;
}

static int fill_numbers(const SnapProcess **members, size_t n, Tree *tree) {
        size_t unique = 0;
        int r = 0;

        for (size_t i = 0; r >= 0 && i < n; i++) {
                const SnapProcess *p = members[i];
                const SnapNumbers own = snap_own_numbers(p);
                const uint32_t ids[] = {(uint32_t)own.pid, (uint32_t)own.pgid, (uint32_t)own.sid};

                r = model_append(tree->pids, tree->n_pids, (uint32_t)p->pid);
                for (size_t k = 0; r >= 0 && k < ELEMENTS(ids); k++)
                        if (ids[k] != 0) /* 0: led by a process that our PID namespace does not see */
                                r = model_append(tree->ids, tree->n_ids, ids[k]);
                for (size_t k = 0; r >= 0 && k < p->n_tids; k++)
                        r = model_append(tree->ids, tree->n_ids, (uint32_t)p->tids[k]);
        }
        if (r < 0)
                return r;
        qsort(tree->ids, tree->n_ids, sizeof *tree->ids, by_number);
        for (size_t i = 0; i < tree->n_ids; i++)
                if (i == 0 || tree->ids[i] != tree->ids[unique - 1])
                        tree->ids[unique++] = tree->ids[i];
        tree->n_ids = unique;
        return 0;
}

/* From inside of the namespace nothing is saved, and nobody sees another number. */
static void fill_init(const Snapshot *s, const SnapProcess *root, Tree *tree) {
        const SnapProcess *init = snapshot_tree_init(s, root);

        if (!init || init->pid == 1)
                return;
        tree->has_init_pid = tree->has_own_root_pid = true;
        tree->init_pid = (uint32_t)init->pid;
        tree->own_root_pid = (uint32_t)snap_own_numbers(root).pid;
}

static int fill_cgroup(const char *cgroup, Tree *tree) {
        _cleanup_(freep) char *slice = cgroup_slice(cgroup);
        int r = slice ? model_set_string(&tree->cgroup, cgroup) : -ENOMEM;

        return r < 0 ? r : model_set_string(&tree->slice, slice);
}

int select_fill(const Snapshot *s, const SnapProcess *root, const Session *session, pid_t caller,
                Tree *tree) {
        _cleanup_(freep) const SnapProcess **members = NULL;
        size_t n;
        int r;

        r = snapshot_tree(s, root->pid, &members, &n);
        if (r >= 0)
                r = check_members(members, n, caller);
        if (r >= 0)
                r = owner(members, n, session, &tree->uid);
        if (r < 0)
                return err_pass(r);
        tree->root_pid = (uint32_t)root->pid;
        tree->root_start = root->start;
        fill_init(s, root, tree);
        tree->has_shell_job = true;
        tree->shell_job = root->sid != root->pid;
        r = model_set_string(&tree->comm, root->comm);
        if (r >= 0)
                r = fill_numbers(members, n, tree);
        if (r >= 0 && root->cgroup)
                r = fill_cgroup(root->cgroup, tree);
        if (r >= 0 && session) {
                tree->session = model_copy(session);
                r = tree->session ? 0 : -ENOMEM;
        }
        return r;
}

/* SPDX-License-Identifier: GPL-2.0-or-later */

/*
 * What must never be carried is what the next kernel's boot starts anew, and what this shutdown needs to its
 * end: a copy of it, restored beside the new one, would take its sockets and its place.
 */

#include "select/tree.h"

#include "base/cleanup.h"
#include "base/err.h"
#include "base/text.h"

#include <string.h>

#define LONGEST_ID 127u

/* Whether one of the path's components is exactly `part`. */
bool select_cgroup_part(const char *cgroup, const char *part) {
        size_t l = strlen(part);

        for (const char *p = cgroup; p; p = strchr(p, '/')) {
                p += *p == '/';
                if (strcspn(p, "/") == l && memcmp(p, part, l) == 0)
                        return true;
        }
        return false;
}

bool select_session_id(const char *cgroup, char id[static 128]) {
        static const char before[] = "session-", behind[] = ".scope";

        for (const char *p = cgroup; p; p = strchr(p, '/')) {
                size_t l, n;

                p += *p == '/';
                l = strcspn(p, "/");
                if (l <= strlen(before) + strlen(behind) || !starts_with(p, before) ||
                    memcmp(p + l - strlen(behind), behind, strlen(behind)) != 0)
                        continue;
                n = l - strlen(before) - strlen(behind);
                if (n > LONGEST_ID)
                        continue;
                memcpy(id, p + strlen(before), n);
                id[n] = '\0';
                if (name_is_safe(id))
                        return true;
        }
        return false;
}

bool select_is_sshd(const SnapProcess *p) {
        return strcmp(p->comm, "sshd") == 0 || starts_with(p->comm, "sshd-");
}

bool select_is_listener(const SnapProcess *p) {
        return strcmp(p->comm, "sshd") == 0 && strstr(p->title, "[listener]");
}

/* Why this one stays, or NULL. */
static const char *must_stay(const SnapProcess *p) {
        static const struct {
                const char *unit, *why;
        } services[] = {
                        {"systemd-logind.service", "logind"},
                        {"systemd-journald.service", "the journal"},
                        {"systemd-udevd.service", "udev"},
                        {"dbus.service", "the system bus"},
                        {"dbus-broker.service", "the system bus"},
                        {"carryover.service", "carryover itself"},
                        {"carryover-early.service", "carryover itself"},
                        {"carryover-restore.service", "carryover itself"},
        };

        if (p->pid == 1)
                return "PID 1";
        if (p->kernel_thread)
                return "a thread of the kernel";
        if (select_is_listener(p))
                return "sshd's listener";
        if (strcmp(p->comm, "systemd") == 0 && p->exe && ends_with(p->exe, "/systemd"))
                return "a user's service manager";
        for (size_t i = 0; p->cgroup && i < ELEMENTS(services); i++)
                if (select_cgroup_part(p->cgroup, services[i].unit))
                        return services[i].why;
        return NULL;
}

static int check_members(const SnapProcess **members, size_t n, pid_t caller) {
        if (members[0]->pid == caller)
                return err_say(-EPERM, "process %d is this command itself: keep the session it is in",
                               (int)caller);
        for (size_t i = 0; i < n; i++) {
                const char *why = must_stay(members[i]);

                if (why && i == 0)
                        return err_say(-EPERM, "process %d is %s, which every kernel starts anew",
                                       (int)members[i]->pid, why);
                if (why)
                        return err_say(-EPERM,
                                       "the tree of process %d holds process %d, %s, which every kernel "
                                       "starts anew: choose a smaller tree",
                                       (int)members[0]->pid, (int)members[i]->pid, why);
        }
        return 0;
}

/* The monitor of a privilege-separated sshd is root's; whose session it is shows in the first process below
 * that is no sshd, the shell, or in the lowest sshd while there is none. */
static uid_t owner(const SnapProcess **members, size_t n) {
        uid_t uid = members[0]->uid;

        if (!select_is_sshd(members[0]))
                return uid;
        for (size_t i = 1; i < n; i++) {
                uid = members[i]->uid;
                if (!select_is_sshd(members[i]))
                        break;
        }
        return uid;
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
                const uint32_t ids[] = {(uint32_t)p->pid, (uint32_t)p->pgid, (uint32_t)p->sid};

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

/* The innermost slice of "/user.slice/user-0.slice/session-4.scope"; those below a service belong to a
 * user's manager, and PID 1, which makes the scope of a restored tree, does not know them. Nor does it know
 * one whose name is no unit's: somebody made that cgroup by hand. */
static int fill_cgroup(const char *cgroup, Tree *tree) {
        _cleanup_(freep) char *slice = strdup("-.slice");
        bool inside = false;
        int r;

        for (const char *p = cgroup; slice && p && !inside; p = strchr(p, '/')) {
                char *part;

                p += *p == '/';
                part = strndup(p, strcspn(p, "/"));
                if (part && ends_with(part, ".slice") && unit_is_safe(part)) {
                        free(slice);
                        slice = part;
                        continue;
                }
                inside = part && ends_with(part, ".service");
                free(part);
        }
        if (!slice)
                return -ENOMEM;
        r = model_set_string(&tree->cgroup, cgroup);
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
        if (r < 0)
                return err_pass(r);
        tree->root_pid = (uint32_t)root->pid;
        tree->root_start = root->start;
        tree->uid = session ? session->uid : owner(members, n);
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

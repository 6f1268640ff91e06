/* SPDX-License-Identifier: GPL-2.0-or-later */

/* Down to the first part below the slices a cgroup's name is root's word (model/cgroup-path.h). What lies
 * below a user's manager is that user's: it makes rows of that user's, whatever it is called. */

#include "census/place.h"

#include "base/cleanup.h"
#include "base/text.h"
#include "model/cgroup-path.h"
#include "model/container.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

typedef struct Part {
        char name[PLACE_NAME_MAX];
        const char *rest; /* behind it */
} Part;

/* The first part of "/a/b"; an empty name if there is none. Longer ones are cut: they are only shown. */
static Part part_first(const char *path) {
        Part p = {.rest = path};
        size_t n;

        path += *path == '/';
        n = strcspn(path, "/");
        snprintf(p.name, sizeof p.name, "%.*s", (int)(n < sizeof p.name ? n : sizeof p.name - 1), path);
        p.rest = path + n;
        return p;
}

static bool user_manager(const char *part, uid_t *ret) {
        char digits[16];
        size_t n = strlen(part), b = strlen("user@"), e = strlen(".service");
        uint64_t uid;

        if (!starts_with(part, "user@") || !ends_with(part, ".service") || n <= b + e ||
            n - b - e >= sizeof digits)
                return false;
        memcpy(digits, part + b, n - b - e);
        digits[n - b - e] = '\0';
        if (parse_u64(digits, UINT32_MAX - 1, &uid) < 0)
                return false;
        *ret = (uid_t)uid;
        return true;
}

/* Its D-Bus is started by a socket of its own whenever somebody needs it. */
static bool is_managers_own(const char *unit) {
        static const char *const names[] = {"", "init.scope", "dbus.service", "dbus-broker.service"};

        for (size_t i = 0; i < ELEMENTS(names); i++)
                if (strcmp(names[i], unit) == 0)
                        return true;
        return false;
}

static void below_manager(const Part *manager, Place *ret) {
        Part unit = part_first(manager->rest);

        ret->has_uid = true;
        while (ends_with(unit.name, ".slice"))
                unit = part_first(unit.rest);
        if (container_of_unit(unit.name, ret->name)) {
                ret->kind = THING_CONTAINER;
                return;
        }
        ret->is_manager = is_managers_own(unit.name);
        ret->kind = ret->is_manager ? THING_UNIT : THING_USER_UNIT;
        memcpy(ret->name, ret->is_manager ? manager->name : unit.name, sizeof ret->name);
}

static bool is_unit(const char *part) {
        static const char *const kinds[] = {".service", ".scope", ".socket", ".mount", ".swap"};

        for (size_t i = 0; i < ELEMENTS(kinds); i++)
                if (ends_with(part, kinds[i]))
                        return unit_is_safe(part);
        return false;
}

void place_of(const SnapProcess *p, Place *ret) {
        const char *cgroup = p->cgroup ?: "";
        char id[SESSION_ID_MAX];
        uint32_t uid;
        Part first;

        *ret = (Place){.kind = THING_STRAY};
        if (cgroup_session(p->cgroup, &uid, id)) {
                ret->kind = THING_SESSION;
                ret->uid = uid;
                ret->has_uid = true;
                memcpy(ret->name, id, sizeof id);
                return;
        }
        first = part_first(cgroup_below_slices(cgroup));
        if (user_manager(first.name, &ret->uid)) {
                below_manager(&first, ret);
                return;
        }
        if (container_of(cgroup, ret->name)) {
                ret->kind = THING_CONTAINER;
                return;
        }
        if (is_unit(first.name)) {
                ret->kind = THING_UNIT;
                memcpy(ret->name, first.name, sizeof ret->name);
                return;
        }
        snprintf(ret->name, sizeof ret->name, "%s", cgroup[0] ? cgroup : "unknown");
}

/* By the names in units/: what else is called so is somebody's to lose. */
static bool is_in_our_unit(const char *cgroup) {
        static const char *const units[] = {"carryover.service",         "carryover-early.service",
                                            "carryover-restore.service", "carryover-give-up.service",
                                            "carryover-report.service",  "carryover-metrics.service"};
        Part unit = part_first(cgroup_below_slices(cgroup));

        for (size_t i = 0; i < ELEMENTS(units); i++)
                if (strcmp(unit.name, units[i]) == 0)
                        return true;
        return starts_with(unit.name, "carryover-varlink@") && ends_with(unit.name, ".service");
}

/* carryover-restore keeps the scopes of trees open that are not back yet. */
static bool is_ours(const SnapProcess *p) {
        if (p->uid == 0 && p->euid == 0 && p->exe && ends_with(p->exe, "/carryover-restore"))
                return true;
        return is_in_our_unit(p->cgroup ?: "") || snap_is_tree_init(p);
}

/* What is about to become a service's process. */
static bool is_about_to_execute(const SnapProcess *p) {
        return p->ppid == 1 && p->uid == 0 && p->exe && cgroup_in_unit(p->cgroup, "init.scope") &&
               (ends_with(p->exe, "/systemd") || ends_with(p->exe, "/systemd-executor"));
}

bool place_is_none(const SnapProcess *p) {
        return p->pid == 1 || p->kernel_thread || p->state == 'Z' || is_ours(p) || is_about_to_execute(p);
}

/* A client of screen has a terminal, and its server never one. */
const char *place_terminals(const SnapProcess *p) {
        if (p->exe && ends_with(p->exe, "/tmux") && starts_with(p->comm, "tmux: server"))
                return "tmux";
        if (p->exe && ends_with(p->exe, "/screen") && p->tty_index < 0)
                return "screen";
        return NULL;
}

bool place_is_sshd(const Place *place) {
        return place->kind == THING_UNIT &&
               (strcmp(place->name, "ssh.service") == 0 || strcmp(place->name, "sshd.service") == 0);
}

bool place_spawns(const Place *place) {
        static const char *const units[] = {"cron.service", "crond.service", "cronie.service",
                                            "anacron.service", "atd.service"};

        for (size_t i = 0; place->kind == THING_UNIT && i < ELEMENTS(units); i++)
                if (strcmp(place->name, units[i]) == 0)
                        return true;
        return place_is_sshd(place);
}

/* SPDX-License-Identifier: GPL-2.0-or-later */

/* systemd/: PID 1, and logind without a session. */

#include "base/err.h"
#include "systemd/bus.h"
#include "systemd/cgroup-limits.h"
#include "systemd/cgroup.h"
#include "systemd/login.h"
#include "systemd/polkit.h"
#include "systemd/stop-order.h"
#include "systemd/units.h"
#include "tests/fakes/fake.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int fake_polkit;

int polkit_check(const PolkitSubject *subject, const char *action, bool interactive) {
        int r = fake_call("polkit_check", "%u %s%s", subject->uid, action,
                          interactive ? " interactive" : "");

        return r < 0 ? r : fake_polkit;
}

struct Bus {
        bool open;
};

int bus_open_manager(Bus **ret) {
        static Bus bus;
        int r = fake_call("bus_open_manager", "%s", "");

        if (r >= 0)
                *ret = &bus;
        return r;
}

Bus *bus_close(Bus *bus) {
        (void)bus;
        return NULL;
}

static int start(const char *function, const char *unit) {
        int r = fake_call(function, "%s", unit);

        if (r >= 0)
                snprintf(fake->started, sizeof fake->started, "%s", unit);
        return r;
}

int bus_start_unit(Bus *bus, const char *unit, bool irreversible) {
        (void)bus;
        (void)irreversible;
        return start("bus_start_unit", unit);
}

int bus_start_unit_now(Bus *bus, const char *unit) {
        (void)bus;
        return start("bus_start_unit_now", unit);
}

int bus_try_restart_unit(Bus *bus, const char *unit) {
        (void)bus;
        return fake_call("bus_try_restart_unit", "%s", unit);
}

int bus_restart_unit(Bus *bus, const char *unit) {
        (void)bus;
        return start("bus_restart_unit", unit);
}

int bus_reset_unit(Bus *bus, const char *unit) {
        (void)bus;
        return fake_call("bus_reset_unit", "%s", unit);
}

const char *fake_unit_state = "active";

int bus_unit_property(Bus *bus, const char *unit, const char *interface, const char *property, char **ret) {
        int r = fake_call("bus_unit_property", "%s", unit);

        (void)bus;
        (void)interface;
        (void)property;
        if (r < 0)
                return r;
        *ret = strdup(fake_unit_state);
        return *ret ? 0 : -ENOMEM;
}

/* Nothing enables any of them. */
int bus_unit_facts(Bus *bus, const char *root, const char *unit, UnitFacts *ret) {
        int r = fake_call("bus_unit_facts", "%s", unit);

        (void)bus;
        (void)root;
        if (r < 0)
                return r;
        *ret = (UnitFacts){.id = strdup(unit), .loaded = true, .active = true};
        return ret->id ? 0 : -ENOMEM;
}

void unit_facts_done(UnitFacts *facts) {
        free(facts->id);
        *facts = (UnitFacts){0};
}

int bus_mount_origin(Bus *bus, const SnapMount *mount, MountOrigin *ret) {
        (void)bus;
        (void)mount;
        (void)ret;
        return fake_call("bus_mount_origin", "%s", "");
}

int bus_service_restricts_files(Bus *bus, const char *service) {
        (void)bus;
        return fake_call("bus_service_restricts_files", "%s", service);
}

int bus_shutdown_action(Bus *bus, const char **ret) {
        static char action[16];

        (void)bus;
        snprintf(action, sizeof action, "%s", fake->shutdown);
        *ret = action[0] ? action : NULL;
        return fake_call("bus_shutdown_action", "%s", fake->shutdown);
}

int bus_soft_reboots(Bus *bus, uint32_t *ret) {
        int r = fake_call("bus_soft_reboots", "%s", "");

        (void)bus;
        if (r < 0 || fake->old_systemd)
                return r < 0 ? r : 1;
        *ret = fake->soft_reboots;
        return 0;
}

int bus_cancel_shutdown(Bus *bus) {
        int r = fake_call("bus_cancel_shutdown", "%s", "");

        (void)bus;
        if (r < 0)
                return r;
        fake->cancelled = true;
        fake->shutdown[0] = '\0';
        return 0;
}

int bus_wait_settled(Bus *bus, const char *own_unit, uint64_t deadline_monotonic,
                     bool (*go_on)(const char *busy)) {
        int r = fake_call("bus_wait_settled", "%s", own_unit);

        (void)bus;
        (void)deadline_monotonic;
        return r >= 0 && go_on && !go_on("slow.service") ? -ECANCELED : r;
}

void bus_start_scopes(Bus *bus, BusScope *scopes, size_t n, uint64_t deadline_monotonic, BusScopeEnd ended,
                      void *userdata) {
        (void)bus;
        (void)deadline_monotonic;
        for (size_t i = 0; i < n; i++)
                ended(i, fake_call("bus_start_scope", "%s", scopes[i].name), userdata);
}

int login_sessions(const char *root, Session ***ret, size_t *ret_n) {
        (void)root;
        *ret = NULL;
        *ret_n = 0;
        return fake_call("login_sessions", "%s", "");
}

int login_numbers_lift(uint32_t above) {
        return fake_call("login_numbers_lift", "%u", above);
}

int stop_order(const uint32_t *pids, size_t n) {
        (void)pids;
        return fake_call("stop_order", "%zu", n);
}

int cgroup_limits(const char *root, const char *cgroup, Limits *limits, CgroupBar *bar) {
        (void)root;
        (void)limits;
        (void)bar;
        return fake_call("cgroup_limits", "%s", cgroup);
}

int cgroup_open_procs(const char *path) {
        int r = fake_call("cgroup_open_procs", "%s", path);

        return r < 0 ? r : open("/dev/null", O_WRONLY | O_CLOEXEC);
}

/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/*
 * systemd and logind by sd-bus. The manager is spoken to directly over /run/systemd/private (root only,
 * needs no D-Bus daemon, works in early boot and late shutdown). Several threads may share a connection:
 * PID 1 is asked one thing at a time.
 */

#include "model/model.h"
#include "model/snapshot.h"

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

typedef struct Bus Bus;

int bus_open_manager(Bus **ret);
Bus *bus_close(Bus *bus);
static inline void bus_closep(Bus **p) {
        (void)bus_close(*p);
}

/* Starts a unit (job mode "replace-irreversibly" if irreversible, else "replace"); does not wait. */
int bus_start_unit(Bus *bus, const char *unit, bool irreversible);
/* Starts a unit immediately, ignoring its ordering ("ignore-dependencies"). */
int bus_start_unit_now(Bus *bus, const char *unit);
int bus_try_restart_unit(Bus *bus, const char *unit);
/* Starts a unit, also one that still runs: anew. Does not wait. */
int bus_restart_unit(Bus *bus, const char *unit);
/* Its failures and starts up to now do not count any more. A unit that is not loaded has none. */
int bus_reset_unit(Bus *bus, const char *unit);

/* One property of a unit as text: "ActiveState", "ControlGroup", "Slice". Caller frees. A unit that
 * is not there is inactive. */
int bus_unit_property(Bus *bus, const char *unit, const char *interface, const char *property, char **ret);

/* Whether a unit starts before another one, and stops after it: 1 or 0. */
int bus_unit_is_before(Bus *bus, const char *unit, const char *other);

/* Whether each boot mounts what is mounted now: by a unit of its own, which a generator may have made of a
 * line in /etc/fstab, that something starts; or by autofs, or ZFS's own service. */
int bus_mount_origin(Bus *bus, const SnapMount *mount, MountOrigin *ret);

/* The name of the unit that systemd gives a mount point: "home-my\\x2ddisk.mount". Caller frees; NULL: no
 * memory. */
char *bus_mount_unit(const char *point);

/* Whether a property of a unit that is a list of units has any: "WantedBy". 1 or 0. */
int bus_unit_has_any(Bus *bus, const char *unit, const char *property);

/* Has systemd read all unit files again; returns when it has. */
int bus_reload(Bus *bus);

/* The shutdown under way: "kexec", "reboot", "poweroff", "halt", "soft-reboot", or 0 answer with *ret NULL
 * if there is none. Static string. */
int bus_shutdown_action(Bus *bus, const char **ret);

/* How often this boot's user space has been restarted (systemd.special(7), soft-reboot.target). Answer 1:
 * this systemd does not count (before 256). */
int bus_soft_reboots(Bus *bus, uint32_t *ret);

/* Takes back a shutdown that has begun: drops all jobs and starts what belongs to the default target
 * again. */
int bus_cancel_shutdown(Bus *bus);

/*
 * Waits until no job but those that wait for own_unit (and its own) is running, or the deadline. 0 settled,
 * -ETIMEDOUT with the units still busy in the sentence. go_on (may be NULL) is told of them, "a.service,
 * b.service", at least twice a second; where it answers false, nothing more is waited for: -ECANCELED.
 */
int bus_wait_settled(Bus *bus, const char *own_unit, uint64_t deadline_monotonic,
                     bool (*go_on)(const char *busy));

/* A transient scope to be made around one waiting process. The strings stay the caller's. */
typedef struct BusScope {
        const char *name, *slice, *description;
        const Limits *limits; /* may be NULL */
        pid_t pid;
        /* Inside. */
        uint64_t cookie; /* of the request */
        char *job;
        bool ended;
} BusScope;

/* Of the i-th: 0 that it runs and the process is in it, else an error with its sentence. */
typedef void (*BusScopeEnd)(size_t i, int r, void *userdata);

/*
 * Makes transient scopes: job mode "ignore-dependencies", because the slice of a user is ordered after units
 * that early boot has not started. At a shutdown they are stopped after the save only, like a login session
 * (units/session-.scope.d). All are asked for before the first is waited for: PID 1 of a booting machine
 * takes a while for each answer, and answers many in that time. Returns when each has ended, and tells so as
 * it happens; other threads use the bus meanwhile.
 */
void bus_start_scopes(Bus *bus, BusScope *scopes, size_t n, uint64_t deadline_monotonic, BusScopeEnd ended,
                      void *userdata);

/* Whether a service may not reach all kinds of file systems (RestrictFileSystems=): 1 or 0. */
int bus_service_restricts_files(Bus *bus, const char *service);

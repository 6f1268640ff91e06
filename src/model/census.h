/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/* What a reboot now would end, and what becomes of each: the rows of `carryover check --all`. census/ makes
 * them, report/ shows them. Texts may have any bytes that a cgroup's name can have: who shows them makes
 * them printable. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/* The more important come first. */
typedef enum Fate { FATE_LOST, FATE_LOSSES, FATE_CARRIED } Fate;

/* Likewise. */
typedef enum ThingKind {
        THING_SESSION,   /* a login session, logind's or of an sshd without */
        THING_TERMINALS, /* a server of tmux or screen that nobody's terminal has for a parent */
        THING_UNIT,      /* a service or scope that the next boot does not start, or not where it is */
        THING_CONTAINER,
        THING_USER_UNIT, /* of a user's service manager */
        THING_JOB,       /* what cron or at has started */
        THING_STRAY,     /* processes that no unit answers for */
        THING_KINDS_
} ThingKind;

typedef struct Thing {
        ThingKind kind;
        char *what;   /* "session 5 (ssh)" */
        char *user;   /* or NULL: its number has to do */
        char *why;    /* of what is not simply carried: what is lost, or how it is kept; else NULL */
        char *target; /* that keeps it, "session:5"; NULL: nothing does */
        uid_t uid;
        pid_t pid; /* the oldest of those that are nobody's child in it */
        Fate fate;
        bool refused; /* a tree of it is kept, and cannot be saved */
        size_t n_processes, n_kept, n_roots;
} Thing;

typedef struct Census {
        Thing *things; /* in the order in which they are shown */
        size_t n;
        char **anew; /* names of services that the next boot starts, in order */
        size_t n_anew;
        size_t counts[FATE_CARRIED + 1]; /* of the things, by fate */
        uint64_t bytes;                  /* about what the images of what is kept take */
        uint64_t room;                   /* what they may take of the store */
        bool has_room;
        uint64_t gap;  /* of the last save that carried something, in microseconds; 0: there was none */
        char *unknown; /* why it cannot be told what ends: there are no things then. NULL: it can */
} Census;

void thing_done(Thing *thing);
void census_done(Census *census);

/* How many are lost or have losses; what cannot be told is one. forced: without those that are kept as a
 * whole and cannot be saved, which is what `--force` accepts. */
size_t census_ends(const Census *census, bool forced);

/* Whether whoever has seen `shown` has seen all that ends, and nothing that has more losses now. */
bool census_within(const Census *census, const Census *shown, bool forced);

const char *fate_text(Fate fate);            /* "carried", "with losses", "lost" */
const char *thing_kind_text(ThingKind kind); /* for programs: "session", "user-unit" */

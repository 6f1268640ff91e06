/* SPDX-License-Identifier: GPL-2.0-or-later */

#include "inspect/census.h"

#include "base/cleanup.h"
#include "base/err.h"
#include "census/census.h"
#include "proc/ns.h"
#include "report/report.h"
#include "systemd/bus.h"
#include "systemd/units.h"

#include <pwd.h>
#include <string.h>
#include <sys/param.h>

typedef struct Asked {
        Bus *manager;
} Asked;

static void asked_done(Asked *asked) {
        asked->manager = bus_close(asked->manager);
}

/* A systemd that does not answer is a reason in the rows. */
static int ask(void *userdata, const char *unit, UnitFacts *ret) {
        Asked *asked = userdata;
        int r = asked->manager ? 0 : bus_open_manager(&asked->manager);

        if (r >= 0)
                r = bus_unit_facts(asked->manager, "", unit, ret);
        return r < 0 ? err_pass(r) : 0;
}

/* Nobody's name is a number to himself. */
static int name_users(Census *c) {
        for (size_t i = 0; i < c->n; i++) {
                Thing *t = c->things + i;
                const struct passwd *pw = NULL;

                for (size_t k = 0; !t->user && k < i; k++)
                        if (c->things[k].uid == t->uid && c->things[k].user)
                                t->user = strdup(c->things[k].user);
                if (!t->user)
                        pw = getpwuid(t->uid);
                if (pw && !(t->user = strdup(pw->pw_name)))
                        return -ENOMEM;
        }
        return 0;
}

static void add_sizes(const Candidates *kept, const PreflightFacts *facts, Census *c) {
        for (size_t i = 0; i < kept->n; i++)
                if (kept->items[i].verdict.level != VERDICT_REFUSED)
                        c->bytes += kept->items[i].needs.bytes;
        c->has_room = facts->known & FACT(ROOM);
        c->room = c->has_room ? MIN(facts->store_free, facts->max_use) : 0;
}

/* A store without a report, or with one that cannot be read, tells nothing of the next gap. */
static void add_gap(const Config *config, Census *c) {
        _cleanup_(ticket_freep) Ticket *report = NULL;
        Store store;

        if (store_open(config, &store) < 0)
                return;
        if (store_report(&store, &report) == 0)
                c->gap = report_gap(report);
        store_close(&store);
}

int census_look(const Config *config, const Candidates *kept, const PreflightFacts *facts, Census *ret) {
        _cleanup_(census_done) Census c = {0};
        _cleanup_(world_done) World world = {0};
        _cleanup_(asked_done) Asked asked = {0};
        CensusWorld of = {.kept = kept, .ask = ask, .userdata = &asked};
        int r;

        if (ns_is_inside())
                return err_say(-EPERM, "this PID namespace does not show all processes of the machine: run "
                                       "carryover enter first");
        r = world_look(&world);
        if (r < 0)
                return err_pass(r);
        of.all = world.all;
        of.sessions = world.sessions;
        of.n_sessions = world.n_sessions;
        r = census_take(&of, &c);
        if (r >= 0)
                r = name_users(&c);
        if (r < 0)
                return err_pass(r);
        add_sizes(kept, facts, &c);
        add_gap(config, &c);
        *ret = TAKE(c);
        return 0;
}

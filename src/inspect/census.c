/* SPDX-License-Identifier: GPL-2.0-or-later */

#include "inspect/census.h"

#include "base/cleanup.h"
#include "base/err.h"
#include "base/text.h"
#include "census/census.h"
#include "files/user.h"
#include "proc/ns.h"
#include "report/report.h"
#include "systemd/bus.h"
#include "systemd/units.h"

#include <stdio.h>
#include <string.h>
#include <sys/param.h>
#include <unistd.h>

typedef struct Asked {
        Bus *manager;
        bool deaf; /* it is not waited for a second time */
} Asked;

static void asked_done(Asked *asked) {
        asked->manager = bus_close(asked->manager);
}

/* A systemd that does not answer is a reason in the rows. */
static int ask(void *userdata, const char *unit, UnitFacts *ret) {
        Asked *asked = userdata;
        int r = 0;

        if (asked->deaf)
                return err_say(-ETIMEDOUT, "systemd does not answer");
        if (!asked->manager)
                r = bus_open_manager(&asked->manager);
        asked->deaf = r < 0;
        if (r >= 0)
                r = bus_unit_facts(asked->manager, "", unit, ret);
        if (r == -ETIMEDOUT || r == -ENOTCONN || r == -ECONNRESET)
                asked->deaf = true;
        return r < 0 ? err_pass(r) : 0;
}

/* No name: the number is shown. */
static int name_from_files(Thing *t) {
        char name[USER_NAME_SIZE];

        user_name("", t->uid, name);
        return name[0] >= '0' && name[0] <= '9' ? 0 : model_set_string(&t->user, name);
}

static int name_users(Census *c) {
        int r = 0;

        for (size_t i = 0; r >= 0 && i < c->n; i++) {
                Thing *t = c->things + i;

                for (size_t k = 0; r >= 0 && !t->user && k < c->n; k++)
                        if (c->things[k].uid == t->uid && c->things[k].user)
                                r = model_set_string(&t->user, c->things[k].user);
                if (r >= 0 && !t->user)
                        r = name_from_files(t);
        }
        return r;
}

static void add_sizes(const Candidates *kept, const PreflightFacts *facts, Census *c) {
        for (size_t i = 0; i < kept->n; i++)
                if (kept->items[i].verdict.level != VERDICT_REFUSED)
                        c->bytes += kept->items[i].needs.bytes;
        c->has_room = facts && facts->known & FACT(ROOM);
        c->room = c->has_room ? MIN(facts->store_free, facts->max_use) : 0;
}

/* A store without a report, or with one that cannot be read, tells nothing of the next gap. */
static void add_gap(const Config *config, Census *c) {
        _cleanup_(ticket_freep) Ticket *report = NULL;
        Store store;
        int r = store_look(config, &store);

        if (r < 0)
                return;
        if (r == 0 && store_report(&store, &report) == 0)
                c->gap = report_gap(report);
        store_close(&store);
}

int census_look(const Config *config, const Candidates *kept, const PreflightFacts *facts, Census *ret) {
        _cleanup_(census_done) Census c = {0};
        _cleanup_(world_done) World world = {0};
        _cleanup_(asked_done) Asked asked = {0};
        CensusWorld of = {.asker = getpid(), .kept = kept, .ask = ask, .userdata = &asked};
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

int census_try(const Config *config, const Candidates *kept, Census *ret) {
        int r = census_look(config, kept, NULL, ret);

        if (r >= 0 || r == -ENOMEM)
                return r;
        *ret = (Census){.unknown = strdup(err_text(r))};
        return ret->unknown ? 0 : -ENOMEM;
}

/* Nobody reads more, and the ticket must stay small. */
#define ENDED_MAX 100u

static void ended_freep(Ended **p) {
        model_free(*p);
}

static int add_ended(Ended ***list, size_t *n, const char *what, const char *user, const char *fate,
                     const char *why) {
        _cleanup_(ended_freep) Ended *e = model_new(Ended, ended__init);
        int r = e ? 0 : -ENOMEM;

        if (r >= 0)
                r = model_set_string(&e->what, what);
        if (r >= 0)
                r = model_set_string(&e->user, user);
        if (r >= 0)
                r = model_set_string(&e->fate, fate);
        if (r >= 0 && why)
                r = model_set_string(&e->why, why);
        if (r >= 0)
                r = model_append(*list, *n, e);
        if (r >= 0)
                e = NULL;
        return r;
}

int census_ended(const Census *c, Ended ***list, size_t *n) {
        size_t more = 0;
        int r = 0;

        if (c->unknown)
                return add_ended(list, n, "cannot determine what else ended", "", fate_text(FATE_LOST),
                                 c->unknown);
        for (size_t i = 0; r >= 0 && i < c->n; i++) {
                const Thing *t = c->things + i;
                char number[16];

                if (t->n_kept == t->n_processes)
                        continue;
                if (*n >= ENDED_MAX) {
                        more++;
                        continue;
                }
                snprintf(number, sizeof number, "%u", (unsigned)t->uid);
                r = add_ended(list, n, t->what, t->user ?: number, fate_text(t->fate), t->why);
        }
        if (r >= 0 && more > 0) {
                _cleanup_(freep) char *what = text_format("%zu more", more);

                r = what ? add_ended(list, n, what, "", fate_text(FATE_LOST), NULL) : -ENOMEM;
                if (r >= 0) {
                        (*list)[*n - 1]->has_count = true;
                        (*list)[*n - 1]->count = (uint32_t)more;
                }
        }
        return r;
}

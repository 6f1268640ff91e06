/* SPDX-License-Identifier: GPL-2.0-or-later */

/*
 * PID 1 tells of each unit who starts it, with WantedBy= and its like, but not for how long that is true:
 * what `systemctl enable --runtime` makes lies in /run, as does what generators make at each boot, and both
 * are called "enabled-runtime". The directory of the link tells them apart.
 */

#include "systemd/units.h"

#include "base/cleanup.h"
#include "base/err.h"
#include "base/text.h"
#include "systemd/bus-unit.h"

#include <dirent.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <systemd/sd-bus.h>
#include <unistd.h>

#define UNIT         "org.freedesktop.systemd1.Unit"
#define SERVICE      "org.freedesktop.systemd1.Service"
#define STARTERS_MAX 4096u /* of a unit; sysinit.target has a hundred or two */

typedef struct Properties {
        char *load, *active, *fragment, *enabled;
        int transient;
        UnitFacts facts;
} Properties;

static void properties_done(Properties *p) {
        free(p->load);
        free(p->active);
        free(p->fragment);
        free(p->enabled);
        unit_facts_done(&p->facts);
}

static void message_unrefp(sd_bus_message **m) {
        sd_bus_message_unref(*m);
}

void unit_facts_done(UnitFacts *facts) {
        free(facts->id);
        for (char **s = facts->starters; s && *s; s++)
                free(*s);
        free(facts->starters);
        *facts = (UnitFacts){0};
}

static int take_text(sd_bus_message *m, char **field) {
        const char *text;
        int r = sd_bus_message_read(m, "v", "s", &text);

        if (r < 0)
                return r;
        free(*field);
        *field = strdup(text);
        return *field ? 0 : -ENOMEM;
}

/* Joins what was there. */
static int take_starters(sd_bus_message *m, char ***list) {
        size_t n = 0;
        const char *name;
        int r;

        while (*list && (*list)[n])
                n++;
        r = sd_bus_message_enter_container(m, 'v', "as");
        if (r >= 0)
                r = sd_bus_message_enter_container(m, 'a', "s");
        while (r >= 0 && (r = sd_bus_message_read(m, "s", &name)) > 0) {
                char **grown;

                if (n >= STARTERS_MAX)
                        return -E2BIG;
                grown = reallocarray(*list, n + 2, sizeof *grown);
                if (!grown)
                        return -ENOMEM;
                *list = grown;
                grown[n] = strdup(name);
                grown[n + 1] = NULL;
                if (!grown[n++])
                        return -ENOMEM;
        }
        if (r >= 0)
                r = sd_bus_message_exit_container(m);
        return r < 0 ? r : sd_bus_message_exit_container(m);
}

/* What a unit has with RequisiteOf= does not start it. */
static bool names_starters(const char *property) {
        static const char *const by[] = {"WantedBy", "RequiredBy", "BoundBy", "UpheldBy", "TriggeredBy"};

        for (size_t i = 0; i < ELEMENTS(by); i++)
                if (strcmp(by[i], property) == 0)
                        return true;
        return false;
}

static int take(sd_bus_message *m, const char *property, Properties *p) {
        if (strcmp(property, "Id") == 0)
                return take_text(m, &p->facts.id);
        if (strcmp(property, "LoadState") == 0)
                return take_text(m, &p->load);
        if (strcmp(property, "ActiveState") == 0)
                return take_text(m, &p->active);
        if (strcmp(property, "FragmentPath") == 0)
                return take_text(m, &p->fragment);
        if (strcmp(property, "UnitFileState") == 0)
                return take_text(m, &p->enabled);
        if (strcmp(property, "Transient") == 0)
                return sd_bus_message_read(m, "v", "b", &p->transient);
        return names_starters(property) ? take_starters(m, &p->facts.starters) : sd_bus_message_skip(m, "v");
}

static int read_all(Bus *bus, const char *unit, Properties *p) {
        _cleanup_(message_unrefp) sd_bus_message *m = NULL;
        const char *property;
        int r;

        r = bus_unit_properties(bus, unit, UNIT, &m);
        if (r < 0)
                return err_pass(r);
        r = sd_bus_message_enter_container(m, 'a', "{sv}");
        while (r >= 0 && (r = sd_bus_message_enter_container(m, 'e', "sv")) > 0) {
                r = sd_bus_message_read(m, "s", &property);
                if (r >= 0)
                        r = take(m, property, p);
                if (r >= 0)
                        r = sd_bus_message_exit_container(m);
        }
        if (r == -ENOMEM)
                return r;
        if (r < 0 || !p->facts.id || !p->load || !p->active || !p->fragment || !p->enabled)
                return err_say(-EBADMSG, "systemd: cannot inspect %s: the answer is invalid", unit);
        return 0;
}

/* Whether a link in /run enables it, which the boot's end takes away. */
static bool is_linked_in_run(const char *root, const char *unit) {
        _cleanup_(closedirp) DIR *d = NULL;
        struct dirent *e;
        char path[PATH_MAX];

        snprintf(path, sizeof path, "%s/run/systemd/system", root);
        d = opendir(path);
        while (d && (e = readdir(d))) {
                if (!ends_with(e->d_name, ".wants") && !ends_with(e->d_name, ".requires"))
                        continue;
                snprintf(path, sizeof path, "%s/%s", e->d_name, unit);
                if (faccessat(dirfd(d), path, F_OK, AT_SYMLINK_NOFOLLOW) == 0)
                        return true;
        }
        return false;
}

static bool passes(const Properties *p, const char *root) {
        static const char run[] = "/run/", generated[] = "/run/systemd/generator";

        if (strcmp(p->enabled, "masked") == 0)
                return true;
        if (starts_with(p->fragment, run) && !starts_with(p->fragment, generated))
                return true;
        return strcmp(p->enabled, "enabled-runtime") == 0 && is_linked_in_run(root, p->facts.id);
}

static int ask_service(Bus *bus, Properties *p) {
        _cleanup_(freep) char *type = NULL, *name = NULL;
        const char *unit = p->facts.id;
        int r = 0;

        if (!ends_with(unit, ".service"))
                return 0;
        if (strcmp(p->active, "activating") == 0)
                r = bus_unit_property(bus, unit, SERVICE, "Type", &type);
        if (r >= 0 && !p->facts.starters && strcmp(p->enabled, "static") == 0)
                r = bus_unit_property(bus, unit, SERVICE, "BusName", &name);
        if (r < 0)
                return err_pass(r);
        p->facts.working = type && strcmp(type, "oneshot") == 0;
        p->facts.on_demand = name && name[0];
        return 0;
}

int bus_unit_facts(Bus *bus, const char *root, const char *unit, UnitFacts *ret) {
        _cleanup_(properties_done) Properties p = {0};
        int r = read_all(bus, unit, &p);

        if (r >= 0)
                r = ask_service(bus, &p);
        if (r < 0)
                return err_pass(r);
        p.facts.loaded = strcmp(p.load, "loaded") == 0 || strcmp(p.load, "masked") == 0;
        p.facts.active = strcmp(p.active, "inactive") != 0 && strcmp(p.active, "failed") != 0;
        p.facts.transient = p.transient;
        p.facts.passes = passes(&p, root);
        *ret = p.facts;
        p.facts = (UnitFacts){0};
        return 0;
}

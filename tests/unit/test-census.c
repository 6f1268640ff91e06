/* SPDX-License-Identifier: GPL-2.0-or-later */

/* Rows out of a made machine: one of each kind, each fate, and names that mean harm. */

#include "census/census.h"
#include "tests/unit/select-world.h"

#include <dirent.h>
#include <stdio.h>

/* What PID 1 is made to say. */
static const struct {
        const char *name;
        UnitFacts facts;
        const char *starters[3];
} units[] = {
                {"default.target", {.id = (char *)"graphical.target", .loaded = true, .active = true}, {0}},
                {"graphical.target", {.loaded = true, .active = true}, {0}},
                {"multi-user.target", {.loaded = true, .active = true}, {"graphical.target"}},
                {"sysinit.target", {.loaded = true, .active = true}, {"app.service", "multi-user.target"}},
                {"rescue.target", {.loaded = true, .active = true}, {0}},
                {"ssh.service", {.loaded = true, .active = true}, {"multi-user.target"}},
                {"cron.service", {.loaded = true, .active = true}, {"multi-user.target"}},
                {"dbus.service", {.loaded = true, .active = true}, {"dbus.socket"}},
                {"dbus.socket", {.loaded = true, .active = true}, {"sysinit.target"}},
                {"systemd-logind.service", {.loaded = true, .active = true}, {"multi-user.target"}},
                {"app.service", {.loaded = true, .active = true}, {0}},
                {"polkit.service", {.loaded = true, .active = true, .on_demand = true}, {0}},
                {"getty@tty2.service", {.loaded = true, .active = true}, {0}},
                {"hand.service", {.loaded = true, .active = true}, {"app.service", "rescue.target"}},
                {"circle.service", {.loaded = true, .active = true}, {"round.service"}},
                {"round.service", {.loaded = true, .active = true}, {"circle.service"}},
                {"usb.service", {.loaded = true, .active = true}, {"dev-usb.device"}},
                {"run-1.scope", {.loaded = true, .active = true, .transient = true}, {0}},
                {"backup.service", {.loaded = true, .active = true, .working = true}, {"multi-user.target"}},
                {"short.service", {.loaded = true, .active = true, .passes = true}, {"multi-user.target"}},
                {"ended.service", {.loaded = true}, {"multi-user.target"}},
                {"echo@1-10.0.0.1:7.service", {.loaded = true, .active = true}, {"echo.socket"}},
                {"echo.socket", {.loaded = true, .active = true}, {"multi-user.target"}},
};

static int asked, deaf;

static int ask(void *userdata, const char *unit, UnitFacts *ret) {
        UnitFacts facts = {0};
        size_t n = 0;

        (void)userdata;
        asked++;
        if (deaf)
                return err_say(-ECONNREFUSED, "systemd is deaf");
        for (size_t i = 0; i < ELEMENTS(units); i++) {
                if (strcmp(units[i].name, unit) != 0)
                        continue;
                facts = units[i].facts;
                facts.starters = calloc(ELEMENTS(units[i].starters) + 1, sizeof *facts.starters);
                for (; units[i].starters[n]; n++)
                        facts.starters[n] = strdup(units[i].starters[n]);
        }
        facts.id = strdup(facts.id ?: unit);
        *ret = facts;
        return 0;
}

static Census census;
static pid_t asker;

static int end(void **state) {
        census_done(&census);
        deaf = 0;
        asker = 0;
        return teardown(state);
}

static void take(World *w) {
        CensusWorld of = {.all = w->s,
                          .sessions = w->sessions,
                          .n_sessions = 2,
                          .asker = asker,
                          .kept = &w->found,
                          .ask = ask};

        census_done(&census);
        asked = 0;
        snapshot_sort(w->s);
        assert_int_equal(census_take(&of, &census), 0);
        assert_int_equal(census.counts[FATE_LOST] + census.counts[FATE_LOSSES] + census.counts[FATE_CARRIED],
                         census.n);
}

static const Thing *thing(const char *what) {
        for (size_t i = 0; i < census.n; i++)
                if (strcmp(census.things[i].what, what) == 0)
                        return census.things + i;
        for (size_t i = 0; i < census.n; i++)
                print_message("  %s\n", census.things[i].what);
        fail_msg("no row '%s'", what);
        return NULL;
}

static void row(const char *what, ThingKind kind, Fate fate, const char *why) {
        const Thing *t = thing(what);

        assert_int_equal(t->kind, kind);
        assert_int_equal(t->fate, fate);
        if (why)
                assert_string_equal(t->why, why);
        else
                assert_null(t->why);
}

static bool is_anew(const char *name) {
        for (size_t i = 0; i < census.n_anew; i++)
                if (strcmp(census.anew[i], name) == 0)
                        return true;
        return false;
}

static SnapProcess *add(World *w, pid_t pid, pid_t ppid, const char *comm, const char *cgroup, uid_t uid) {
        SnapProcess *p = world_process(w->s, pid, ppid, comm, cgroup);

        p->uid = p->euid = uid;
        return p;
}

static void runs(SnapProcess *p, const char *exe) {
        free(p->exe);
        p->exe = strdup(exe);
        assert_non_null(p->exe);
}

/* Where all are lost. */

static void test_sessions(void **state) {
        World *w = *state;

        take(w);
        row("session 4 (ssh)", THING_SESSION, FATE_LOST, "not kept: carryover keep session:4");
        assert_string_equal(thing("session 4 (ssh)")->user, "joe");
        assert_int_equal(thing("session 4 (ssh)")->n_processes, 6);
        assert_string_equal(thing("session 4 (ssh)")->target, "session:4");
        row("session 5 (ssh)", THING_SESSION, FATE_LOST, "not kept: carryover keep session:5");
        assert_true(is_anew("ssh.service") && is_anew("dbus.service") && is_anew("systemd-logind.service"));
        row("app.service", THING_UNIT, FATE_LOST, "not enabled; not kept: carryover keep unit:app");
        assert_int_equal(census.n, 3);
        assert_int_equal(census.n_anew, 3);
        assert_true(asked <= 12); /* nobody is asked twice */

        assert_int_equal(model_set_string(&w->sessions[0]->state_file, "STATE=closing\nSERVICE=sshd\n"), 0);
        assert_int_equal(model_set_string(&w->sessions[1]->state_file, "SERVICE=login\n"), 0);
        assert_int_equal(model_set_string(&w->sessions[1]->tty, "tty1"), 0);
        add(w, 900, 1, "bash", "/user.slice/user-7.slice/session-9.scope", 7);
        take(w);
        row("session 4 (logged out)", THING_SESSION, FATE_LOST, "not kept: carryover keep session:4");
        row("session 5 (tty1)", THING_SESSION, FATE_LOST, "not kept: carryover keep session:5");
        row("session 9 (unknown to logind)", THING_SESSION, FATE_LOST, "not kept: carryover keep session:9");
        assert_int_equal(thing("session 9 (unknown to logind)")->uid, 7);

        assert_int_equal(model_set_string(&w->sessions[0]->state_file, "CLASS=greeter\n"), 0);
        take(w);
        assert_true(is_anew("session 4 (login)"));
}

static void test_units(void **state) {
        static const struct {
                const char *name, *why; /* NULL: the next boot starts it */
        } cases[] = {
                        {"polkit.service", NULL},
                        {"usb.service", NULL},
                        {"getty@tty2.service", NULL},
                        {"hand.service", "not enabled; not kept: carryover keep unit:hand"},
                        {"circle.service", "not enabled; not kept: carryover keep unit:circle"},
                        {"run-1.scope", "transient; not kept: carryover keep unit:run-1.scope"},
                        {"backup.service", "at work now; not kept: carryover keep unit:backup"},
                        {"short.service",
                         "not enabled beyond this boot; not kept: carryover keep unit:short"},
                        {"ended.service",
                         "left over: the unit has ended; not kept: carryover keep pid:2005"},
                        {"gone.service",
                         "the unit does not exist any more; not kept: carryover keep pid:2005"},
                        {"echo@1-10.0.0.1:7.service",
                         "not enabled; not kept: carryover keep unit:echo@1-10.0.0.1:7.service"},
        };
        World *w = *state;

        for (size_t i = 0; i < ELEMENTS(cases); i++) {
                char cgroup[128];
                SnapProcess *p;

                snprintf(cgroup, sizeof cgroup, "/system.slice/system-x.slice/%s", cases[i].name);
                if (i == 0)
                        (void)add(w, 2005, 1, "x", cgroup, 33);
                p = world_at(w->s, 2005);
                free(p->cgroup);
                p->cgroup = strdup(cgroup);
                take(w);
                assert_int_equal(is_anew(cases[i].name), !cases[i].why);
                if (cases[i].why) {
                        row(cases[i].name, THING_UNIT, FATE_LOST, cases[i].why);
                        assert_int_equal(thing(cases[i].name)->uid, 33);
                }
        }
}

/* Whoever asks for a reboot from a service or a job of cron knows that this one ends; but not of a session,
 * nor of what is kept. */
static void test_asker(void **state) {
        World *w = *state;

        add(w, 900, 1, "sh", "/system.slice/run-1.scope", 0);
        add(w, 901, 900, "carryover", "/system.slice/run-1.scope", 0);
        take(w);
        row("run-1.scope", THING_UNIT, FATE_LOST, "transient; not kept: carryover keep unit:run-1.scope");
        asker = 901;
        take(w);
        assert_int_equal(census.n, 3);
        assert_false(is_anew("run-1.scope"));
        asker = 401;
        take(w);
        (void)thing("session 4 (ssh)");
        (void)thing("run-1.scope");
}

/* The other jobs of a CI runner are not those of who asks, whether or not the same process has started
 * them. */
static void test_others_beside_asker(void **state) {
        static const char *const scope = "/system.slice/run-1.scope";
        World *w = *state;

        add(w, 900, 1, "runner", scope, 0);
        add(w, 901, 900, "sh", scope, 0);
        add(w, 902, 901, "carryover", scope, 0);
        add(w, 903, 902, "criu", scope, 0);
        asker = 902;
        take(w);
        assert_int_equal(census.n, 3);

        add(w, 904, 900, "sh", scope, 0);
        add(w, 905, 904, "make", scope, 0);
        take(w);
        row("run-1.scope", THING_UNIT, FATE_LOST, "transient; not kept: carryover keep unit:run-1.scope");
        assert_int_equal(thing("run-1.scope")->n_processes, 2);
        assert_int_equal(thing("run-1.scope")->n_roots, 1);
        assert_int_equal(thing("run-1.scope")->pid, 904);
        add(w, 906, 1, "beside", scope, 0);
        take(w);
        assert_int_equal(thing("run-1.scope")->n_processes, 3);
        assert_int_equal(thing("run-1.scope")->n_roots, 2);

        add(w, 2000, 1, "cron", "/system.slice/cron.service", 0);
        add(w, 2001, 2000, "cron", "/system.slice/cron.service", 0);
        add(w, 2002, 2001, "carryover", "/system.slice/cron.service", 0);
        asker = 2002;
        take(w);
        assert_true(is_anew("cron.service"));
        assert_int_equal(thing("run-1.scope")->n_processes, 7);
        assert_int_equal(census.n, 4);
        add(w, 2003, 2001, "mail", "/system.slice/cron.service", 0);
        take(w);
        assert_int_equal(thing("job of cron.service")->n_processes, 1);
}

/* What PID 1 does not say is not taken for good. */
static void test_deaf(void **state) {
        World *w = *state;

        deaf = 1;
        take(w);
        assert_int_equal(census.n_anew, 0);
        row("ssh.service", THING_UNIT, FATE_LOST,
            "cannot determine whether the next boot starts it (systemd is deaf); not kept: carryover keep "
            "unit:ssh");
        row("session 4 (ssh)", THING_SESSION, FATE_LOST, "not kept: carryover keep session:4");
}

static void test_user_units(void **state) {
        World *w = *state;

        add(w, 2000, 1, "systemd", MANAGER "init.scope", 1000);
        add(w, 2001, 2000, "dbus-daemon", MANAGER "app.slice/dbus.service", 1000);
        take(w);
        assert_true(is_anew("user@1000.service"));
        assert_int_equal(census.n, 3);
        add(w, 2002, 2000, "sleep", MANAGER "app.slice/my.service/below", 1000);
        add(w, 2003, 2000, "sleep", MANAGER "app.slice/my.service", 1000);
        add(w, 2004, 2000, "podman", MANAGER "user.slice/libpod-0123456789abcdef.scope", 101000);
        take(w);
        row("user unit my.service", THING_USER_UNIT, FATE_LOST,
            "not kept: carryover keep pid:2002 and 1 more trees");
        assert_int_equal(thing("user unit my.service")->uid, 1000);
        row("container podman 0123456789ab", THING_CONTAINER, FATE_LOST,
            "containers are not carried; their manager may start them again");
        assert_int_equal(thing("container podman 0123456789ab")->uid, 1000);
        assert_null(thing("container podman 0123456789ab")->target);
}

static void test_containers(void **state) {
        static const char *const cases[][2] = {
                        {"/machine.slice/libpod-0123456789abcdef.scope/container", "podman 0123456789ab"},
                        {"/machine.slice/libpod-conmon-0123456789abcdef.scope", "podman 0123456789ab"},
                        {"/system.slice/docker-aabbccddeeff0011.scope", "docker aabbccddeeff"},
                        {"/docker/aabbccddeeff0011", "docker aabbccddeeff"},
                        {"/lxc.payload.web/init.scope", "lxc web"},
                        {"/lxc.monitor.web", "lxc web"},
                        {"/machine.slice/machine-deb.scope/payload", "machine deb"},
                        {"/kubepods.slice/kubepods-x.slice/cri-containerd-1122.scope", "containerd 1122"},
        };
        static const char *const liars[] = {
                        "/machine.slice/libpod-0123456789abcdef.scope/container",
                        "/machine.slice/libpod-0123456789abcdef.scope/libpod-conmon-0123456789abcdef.scope",
                        "/machine.slice/libpod-conmon-0123456789abcdef.scope/container",
        };
        World *w = *state;

        for (size_t i = 0; i < ELEMENTS(cases); i++) {
                char what[64];

                add(w, 3000 + (pid_t)i, 1, "init", cases[i][0], 0);
                take(w);
                snprintf(what, sizeof what, "container %s", cases[i][1]);
                assert_int_equal(thing(what)->kind, THING_CONTAINER);
        }
        assert_int_equal(thing("container lxc web")->n_processes, 2);
        /* its name, once root's conmon tells it; nothing that a container's own root says */
        for (size_t i = 0; i < ELEMENTS(liars); i++) {
                strcpy(add(w, 3040 + (pid_t)i, 1, "conmon", liars[i], 0)->title, "bank");
                world_at(w->s, 3040 + (pid_t)i)->is_roots = true;
        }
        take(w);
        assert_int_equal(thing("container podman 0123456789ab")->n_processes, 5);
        strcpy(add(w, 3050, 1, "conmon", cases[1][0], 0)->title, "shop");
        world_at(w->s, 3050)->is_roots = true;
        take(w);
        assert_int_equal(thing("container podman shop")->n_processes, 6);
        /* of that name, but not where machined has its own */
        add(w, 3100, 1, "x", "/system.slice/machine-deb.scope", 0);
        take(w);
        assert_int_equal(thing("machine-deb.scope")->kind, THING_UNIT);
}

static void test_terminals(void **state) {
        World *w = *state;
        SnapProcess *p = add(w, 2000, 1, "tmux: server", S4, 1000);

        runs(p, "/usr/bin/tmux");
        add(w, 2001, 2000, "bash", S4, 1000);
        add(w, 2002, 2001, "sleep", MANAGER "app.slice/x.scope", 1000);
        runs(add(w, 2003, 1, "screen", S4, 1000), "/usr/bin/screen");
        runs(add(w, 2004, 402, "screen", S4, 1000), "/usr/bin/screen");
        world_at(w->s, 2004)->tty_index = 3; /* a client */
        take(w);
        row("tmux, process 2000", THING_TERMINALS, FATE_LOST, "not kept: carryover keep pid:2000");
        assert_int_equal(thing("tmux, process 2000")->n_processes, 3);
        assert_int_equal(thing("tmux, process 2000")->uid, 1000);
        row("screen, process 2003", THING_TERMINALS, FATE_LOST, "not kept: carryover keep pid:2003");
        assert_int_equal(thing("session 4 (ssh)")->n_processes, 7);
}

/* In services that the next boot starts: what they have started for others. */
static void test_jobs(void **state) {
        World *w = *state;

        add(w, 2000, 1, "cron", "/system.slice/cron.service", 0);
        take(w);
        assert_true(is_anew("cron.service"));
        add(w, 2001, 2000, "cron", "/system.slice/cron.service", 0);
        add(w, 2002, 2001, "sh", "/system.slice/cron.service", 1000);
        strcpy(add(w, 2010, 100, "sshd", "/system.slice/ssh.service", 0)->title, "sshd: joe [priv]");
        add(w, 2011, 2010, "sshd", "/system.slice/ssh.service", 1000);
        strcpy(add(w, 2020, 1, "sshd", "/system.slice/ssh.service", 0)->title, "sshd: root@pts/1");
        take(w);
        assert_true(is_anew("cron.service") && is_anew("ssh.service"));
        row("job of cron.service", THING_JOB, FATE_LOST, "not kept: carryover keep pid:2001");
        assert_int_equal(thing("job of cron.service")->uid, 1000);
        row("ssh login, process 2010", THING_SESSION, FATE_LOST, "not kept: carryover keep pid:2010");
        assert_int_equal(thing("ssh login, process 2010")->uid, 1000);
        row("ssh login, process 2020", THING_SESSION, FATE_LOST, "not kept: carryover keep pid:2020");
}

static void test_strays(void **state) {
        World *w = *state;

        add(w, 2000, 1, "x", "/mine/deep", 5);
        add(w, 2001, 1, "x", "/", 0);
        add(w, 2002, 1, "x", NULL, 0);
        add(w, 2003, 1, "x", "/system.slice", 0);
        add(w, 2004, 1, "x", "/init.scope", 0);
        add(w, 2005, 1, "x", "/system.slice/carryover.service", 0);
        add(w, 2006, 1, "x", "/mine/deep", 0)->state = 'Z';
        take(w);
        row("cgroup /mine/deep", THING_STRAY, FATE_LOST, "not kept: carryover keep pid:2000");
        assert_int_equal(thing("cgroup /mine/deep")->n_processes, 1);
        row("cgroup /", THING_STRAY, FATE_LOST, "not kept: carryover keep pid:2001");
        row("cgroup unknown", THING_STRAY, FATE_LOST, "not kept: carryover keep pid:2002");
        row("cgroup /system.slice", THING_STRAY, FATE_LOST, "not kept: carryover keep pid:2003");
        assert_int_equal(thing("init.scope")->n_processes, 1);
        assert_int_equal(census.n, 3 + 5);
}

/* Each service that carryover installs, and one connection of that which is for each. */
static void test_own_services(void **state) {
        World *w = *state;
        DIR *dir = opendir(UNITS);
        struct dirent *unit;
        size_t n = 0;

        assert_non_null(dir);
        while ((unit = readdir(dir))) {
                char *service = strstr(unit->d_name, ".service.in"), cgroup[512];

                if (!service)
                        continue;
                *service = '\0';
                snprintf(cgroup, sizeof cgroup, "/system.slice/%s%s.service", unit->d_name,
                         service[-1] == '@' ? "3-812-0" : "");
                add(w, 2000 + (pid_t)n++, 1, "x", cgroup, 0);
        }
        assert_int_equal(closedir(dir), 0);
        assert_true(n >= 7);
        take(w);
        assert_int_equal(census.n, 3);
        assert_int_equal(census.n_anew, 3);

        add(w, 2100, 1, "x", "/system.slice/carryover-mine.service", 0);
        add(w, 2101, 1, "x", MANAGER "app.slice/carryover-metrics.service", 1000);
        take(w);
        assert_int_equal(thing("carryover-mine.service")->fate, FATE_LOST);
        assert_int_equal(thing("user unit carryover-metrics.service")->fate, FATE_LOST);
}

/* What is kept. */

static void judge(World *w, size_t i, VerdictLevel level, const char *text) {
        assert_int_equal(verdict_add(&w->found.items[i].verdict, level, "x", NULL, "%s", text), 0);
}

static void test_fates(void **state) {
        World *w = *state;

        assert_int_equal(resolve(w, "session:4", 0), 0);
        assert_int_equal(w->found.n, 2);
        take(w);
        row("session 4 (ssh)", THING_SESSION, FATE_CARRIED, NULL);
        assert_int_equal(census_ends(&census, false), census.n - 1);
        assert_int_equal(thing("session 4 (ssh)")->n_kept, 6);
        assert_ptr_equal(thing("session 4 (ssh)"),
                         census.things + census.n - 1); /* what is lost comes first */

        add(w, 600, 403, "begun", S4, 1000); /* since the tree was looked at */
        take(w);
        row("session 4 (ssh)", THING_SESSION, FATE_CARRIED, NULL);
        add(w, 601, 1, "beside", S4, 1000);
        take(w);
        row("session 4 (ssh)", THING_SESSION, FATE_LOSSES, "1 of 8 processes are not kept");
        assert_int_equal(census_ends(&census, false), census.n);
        assert_int_equal(census_ends(&census, true), census.n);

        judge(w, 0, VERDICT_DEGRADED, "one thing");
        world_at(w->s, 601)->ppid = 403;
        take(w);
        row("session 4 (ssh)", THING_SESSION, FATE_LOSSES, "one thing");
        judge(w, 0, VERDICT_DEGRADED, "another");
        take(w);
        row("session 4 (ssh)", THING_SESSION, FATE_LOSSES,
            "one thing (and 1 more: carryover check session:4)");

        judge(w, 1, VERDICT_REFUSED, "that cannot be");
        take(w);
        row("session 4 (ssh)", THING_SESSION, FATE_LOSSES, "that cannot be");
        judge(w, 0, VERDICT_REFUSED, "nor this");
        take(w);
        assert_int_equal(thing("session 4 (ssh)")->fate, FATE_LOST);
        assert_int_equal(census_ends(&census, false), census.n);
        assert_int_equal(census_ends(&census, true), census.n - 1);

        world_at(w->s, 400)->start = 77; /* the number is somebody else's */
        world_at(w->s, 390)->start = 77;
        take(w);
        row("session 4 (ssh)", THING_SESSION, FATE_LOST, "not kept: carryover keep session:4");
}

static void test_machine(void **state) {
        World *w = *state;

        assert_int_equal(resolve(w, "session:4", 0), 0);
        assert_int_equal(verdict_add(&w->found.machine, VERDICT_REFUSED, "x", NULL, "there is no CRIU"), 0);
        take(w);
        row("session 4 (ssh)", THING_SESSION, FATE_LOST, "kept, but nothing can be saved: there is no CRIU");
}

/* A service that starts anew is a row if it is carried. */
static void test_kept_service(void **state) {
        World *w = *state;

        add(w, 2000, 1, "polkitd", "/system.slice/polkit.service", 0);
        assert_int_equal(resolve(w, "unit:polkit.service", 0), 0);
        take(w);
        row("polkit.service", THING_UNIT, FATE_CARRIED, NULL);
        assert_false(is_anew("polkit.service"));
}

/* What was shown, what there is now, and whether that is more. */
static void test_within(void **state) {
        _cleanup_(census_done) Census shown = {0}, unknown = {.unknown = strdup("deaf")};
        World *w = *state;

        assert_non_null(unknown.unknown);
        add(w, 2000, 1, "cron", "/system.slice/cron.service", 0);
        add(w, 2001, 2000, "cron", "/system.slice/cron.service", 0);
        assert_int_equal(resolve(w, "session:4", 0), 0);
        take(w);
        shown = TAKE(census);
        add(w, 2011, 1, "x", "/system.slice/app.service", 0); /* of a service that was shown */
        take(w);
        assert_true(census_within(&census, &shown, false));
        assert_false(census_within(&unknown, &shown, false));
        assert_true(census_within(&census, &unknown, false) && census_within(&unknown, &unknown, false));
        assert_int_equal(census_ends(&unknown, false), 1);

        add(w, 2002, 2000, "cron", "/system.slice/cron.service", 0); /* a second job of that name */
        take(w);
        assert_false(census_within(&census, &shown, false));
        assert_true(census_within(&shown, &census, false));

        census_done(&shown);
        shown = TAKE(census);
        judge(w, 0, VERDICT_DEGRADED, "one thing");
        take(w);
        assert_false(census_within(&census, &shown, false));
        assert_true(census_within(&shown, &census, false));
        census_done(&shown);
        shown = TAKE(census);
        judge(w, 0, VERDICT_DEGRADED, "another");
        take(w);
        assert_false(census_within(&census, &shown, false));
        judge(w, 0, VERDICT_REFUSED, "nor this");
        judge(w, 1, VERDICT_REFUSED, "nor this");
        take(w);
        assert_false(census_within(&census, &shown, false));
        assert_true(census_within(&census, &shown, true)); /* --force accepts that */
        assert_true(census_within(&shown, &census, false));
}

static void test_hostile(void **state) {
        World *w = *state;
        char cgroup[5000], name[300];

        memset(name, 'x', sizeof name);
        name[sizeof name - 1] = '\0';
        snprintf(cgroup, sizeof cgroup, MANAGER "a.slice/%s\033[31m\n.service", name);
        add(w, 2000, 1, "tmux: server", cgroup, 1000); /* not the program */
        snprintf(cgroup, sizeof cgroup, "/%s.service", name);
        add(w, 2001, 1, "x", cgroup, 0);
        add(w, 2002, 1, "x", "/system.slice/bad name.service", 0);
        add(w, 2003, 1, "x", "/user.slice/user-1000.slice/user@1000.service", 0);
        add(w, 2004, 1, "x", "/user.slice/user-1000.slice/user@x.service/a.service", 0);
        add(w, 2005, 2006, "x", "/mine", 0); /* each other's parents */
        add(w, 2006, 2005, "x", "/mine", 0);
        take(w);
        assert_true(is_anew("user@1000.service"));
        for (size_t i = 0; i < census.n; i++)
                assert_true(strlen(census.things[i].what) < 300);
}

/* A user's are many, and each is another's child. */
static void test_many(void **state) {
        World *w = *state;
        size_t n = 0;

        for (pid_t pid = 10000; pid < 10000 + (pid_t)MANY / 3; pid++) {
                char cgroup[128];

                snprintf(cgroup, sizeof cgroup, MANAGER "x%d.service", (int)pid);
                add(w, pid, pid == 10000 ? 1 : pid - 1, "x", cgroup, 1000);
        }
        take(w);
        assert_in_range(census.n, 900, 1000);
        for (size_t i = 0; i < census.n; i++)
                n += census.things[i].n_processes;
        assert_true(n > MANY / 3); /* none is left out */
}

int main(void) {
        const struct CMUnitTest tests[] = {
                        cmocka_unit_test_setup_teardown(test_sessions, setup, end),
                        cmocka_unit_test_setup_teardown(test_units, setup, end),
                        cmocka_unit_test_setup_teardown(test_asker, setup, end),
                        cmocka_unit_test_setup_teardown(test_others_beside_asker, setup, end),
                        cmocka_unit_test_setup_teardown(test_deaf, setup, end),
                        cmocka_unit_test_setup_teardown(test_user_units, setup, end),
                        cmocka_unit_test_setup_teardown(test_containers, setup, end),
                        cmocka_unit_test_setup_teardown(test_terminals, setup, end),
                        cmocka_unit_test_setup_teardown(test_jobs, setup, end),
                        cmocka_unit_test_setup_teardown(test_strays, setup, end),
                        cmocka_unit_test_setup_teardown(test_own_services, setup, end),
                        cmocka_unit_test_setup_teardown(test_fates, setup, end),
                        cmocka_unit_test_setup_teardown(test_machine, setup, end),
                        cmocka_unit_test_setup_teardown(test_kept_service, setup, end),
                        cmocka_unit_test_setup_teardown(test_within, setup, end),
                        cmocka_unit_test_setup_teardown(test_hostile, setup, end),
                        cmocka_unit_test_setup_teardown(test_many, setup, end),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}

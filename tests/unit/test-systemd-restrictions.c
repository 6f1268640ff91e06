/* SPDX-License-Identifier: GPL-2.0-or-later */

/* What restricts a tree goes into its ticket, or refuses it: no tree has more after its return than it had
 * before. Needs root: the control groups are files of the test's own. */

#include "systemd/restrictions.h"

#include "base/cleanup.h"
#include "base/err.h"
#include "base/fd.h"
#include "base/text.h"
#include "systemd/bus.h"
#include "systemd/cgroup-limits.h"
#include "tests/unit/made.h"
#include "tests/unit/own-run.h"
#include "tests/unit/world.h"

#include <stdio.h>

#define SESSION "/user.slice/user-1000.slice/session-4.scope"
#define SERVICE "/system.slice/app.service"
#define ROOT    400
#define CHILD   401
#define OTHER   402

static const char *restricts; /* the service that has RestrictFileSystems= */
static int bus_fails;

int bus_open_manager(Bus **ret) {
        *ret = NULL;
        return bus_fails ? err_say(bus_fails, "PID 1 does not answer") : 0;
}

Bus *bus_close(Bus *bus) {
        (void)bus;
        return NULL;
}

int bus_service_restricts_files(Bus *bus, const char *service) {
        (void)bus;
        return restricts && strcmp(service, restricts) == 0;
}

typedef struct Case {
        Snapshot *s;
        Tree *tree;
        Verdict verdict;
} Case;

static void put(const char *cgroup, const char *file, const char *text) {
        _cleanup_(freep) char *path = text_format(CGROUP_ROOT "%s", cgroup);

        assert_non_null(path);
        make_file(path, file, text);
}

/* A tree of three in one control group. */
static int set_up(void **state) {
        Case *c = calloc(1, sizeof *c);

        assert_non_null(c);
        assert_int_equal(mount("tmpfs", CGROUP_ROOT, "tmpfs", 0, "mode=0755"), 0);
        restricts = NULL;
        bus_fails = 0;
        c->s = world_new();
        c->tree = model_new(Tree, tree__init);
        assert_non_null(c->tree);
        c->tree->root_pid = ROOT;
        world_process(c->s, ROOT, 1, "bash", SESSION);
        world_process(c->s, CHILD, ROOT, "make", SESSION);
        world_process(c->s, OTHER, CHILD, "cc", SESSION);
        put(SESSION, "memory.max", "max\n");
        *state = c;
        return 0;
}

static int tear_down(void **state) {
        Case *c = *state;

        (void)snapshot_free(c->s);
        model_free(c->tree);
        verdict_done(&c->verdict);
        free(c);
        return umount2(CGROUP_ROOT, MNT_DETACH);
}

static void move(Case *c, pid_t pid, const char *cgroup) {
        SnapProcess *p = world_at(c->s, pid);

        free(p->cgroup);
        p->cgroup = cgroup ? strdup(cgroup) : NULL;
}

static void passes(Case *c) {
        assert_int_equal(restrictions_note(c->s, c->tree, &c->verdict), 0);
        if (c->verdict.n_notes > 0)
                fail_msg("%s", c->verdict.notes[0].text);
        assert_non_null(c->tree->limits);
}

static void is_refused(Case *c, const char *text, const char *remedy) {
        verdict_done(&c->verdict);
        assert_int_equal(restrictions_note(c->s, c->tree, &c->verdict), 0);
        assert_int_equal(c->verdict.n_notes, 1);
        assert_int_equal(c->verdict.level, VERDICT_REFUSED);
        assert_string_equal(c->verdict.notes[0].what, "restricted");
        if (!strstr(c->verdict.notes[0].text, text))
                fail_msg("%s", c->verdict.notes[0].text);
        if (!remedy)
                assert_null(c->verdict.notes[0].remedy);
        else
                assert_non_null(strstr(c->verdict.notes[0].remedy, remedy));
}

/* Of all of it: its scope gets them. A second look has what holds by then, and nothing of the first. */
static void test_of_all(void **state) {
        Case *c = *state;

        passes(c);
        assert_false(c->tree->limits->has_memory_max);
        put(SESSION, "memory.max", "3000000\n");
        put(SESSION, "pids.max", "99\n");
        passes(c);
        assert_true(c->tree->limits->has_memory_max && c->tree->limits->has_tasks_max);
        assert_int_equal(c->tree->limits->memory_max, 3000000);
        assert_int_equal(c->tree->limits->tasks_max, 99);
        put(SESSION, "memory.max", "max\n");
        passes(c);
        assert_false(c->tree->limits->has_memory_max);
}

/* One scope cannot have two limits. */
static void test_of_a_part(void **state) {
        static const char job[] = "/user.slice/user-1000.slice/user@1000.service/app.slice/job.scope";
        Case *c = *state;

        put(job, "memory.max", "2000000\n");
        move(c, OTHER, job);
        is_refused(c,
                   "process 402 has stricter limits than the others, set by "
                   "/user.slice/user-1000.slice/user@1000.service/",
                   "remove the limits");
}

static void test_of_a_part_no_more_than_all(void **state) {
        static const char job[] = "/user.slice/user-1000.slice/user@1000.service/app.slice/job.scope";
        Case *c = *state;

        put(SESSION, "memory.max", "2000000\n");
        put(job, "memory.max", "3000000\n");
        put(job, "pids.max", "5\n"); /* every unit has one */
        move(c, CHILD, job);
        move(c, OTHER, job);
        passes(c);
        assert_int_equal(c->tree->limits->memory_max, 2000000);
        move(c, OTHER, NULL); /* it has ended */
        passes(c);
}

/* No limit that a scope can be made with. */
static void test_bars(void **state) {
        Case *c = *state;

        put(SESSION, "cpuset.cpus", "0\n");
        is_refused(c, "AllowedCPUs=", "");
}

static void test_service(void **state) {
        Case *c = *state;

        put(SERVICE, "memory.max", "max\n");
        for (pid_t pid = ROOT; pid <= OTHER; pid++)
                move(c, pid, SERVICE "/sub");
        passes(c);
        restricts = "other.service";
        passes(c);
        restricts = "app.service";
        is_refused(c, "app.service restricts the file systems of its processes (RestrictFileSystems=)",
                   "remove RestrictFileSystems= from the unit");
        restricts = NULL;
        bus_fails = -EIO; /* what cannot be seen may restrict it */
        is_refused(c, "PID 1 does not answer", NULL);
}

/* It has ended: somebody else says so. */
static void test_gone(void **state) {
        Case *c = *state;

        c->tree->root_pid = 4711;
        passes(c);
        c->tree->root_pid = ROOT;
        put(SESSION, "pids.max", "many\n");
        is_refused(c, "pids.max", NULL);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                        cmocka_unit_test_setup_teardown(test_of_all, set_up, tear_down),
                        cmocka_unit_test_setup_teardown(test_of_a_part, set_up, tear_down),
                        cmocka_unit_test_setup_teardown(test_of_a_part_no_more_than_all, set_up, tear_down),
                        cmocka_unit_test_setup_teardown(test_bars, set_up, tear_down),
                        cmocka_unit_test_setup_teardown(test_service, set_up, tear_down),
                        cmocka_unit_test_setup_teardown(test_gone, set_up, tear_down),
        };

        int r = own_run();

        return r ?: cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: GPL-2.0-or-later */

/* Paths of cgroups as PID 1, users' service managers and containers make them. */

#include "model/cgroup-path.h"

#include "base/cleanup.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static void test_unit(void **state) {
        static const struct {
                const char *cgroup, *unit;
                bool in;
        } table[] = {
                        {"/system.slice/a.service", "a.service", true},
                        {"/system.slice/a.service/b", "a.service", true},
                        {"/system.slice/a.service", "system.slice", true},
                        {"/a.slice/a-b.slice/c.service", "a-b.slice", true},
                        {"/init.scope", "init.scope", true},
                        {"/system.slice/a.service/a.slice", "a.slice", false},
                        {"/system.slice/b.service/a.service", "a.service", false},
                        {"/system.slice/aa.service", "a.service", false},
                        {"/system.slice/a.service.d", "a.service", false},
                        {"/a b.slice/a.service", "a.service", false}, /* made by hand */
                        {"/.slice/a.service", "a.service", false},
                        {"/", "", false},
                        {"", "a.service", false},
                        {"a.service", "a.service", false},
                        {NULL, "a.service", false},
        };

        for (size_t i = 0; i < sizeof table / sizeof table[0]; i++)
                if (cgroup_in_unit(table[i].cgroup, table[i].unit) != table[i].in)
                        fail_msg("%s in %s", table[i].cgroup, table[i].unit);
}

static void test_session(void **state) {
        char id[SESSION_ID_MAX] = "", path[512], name[SESSION_ID_MAX];
        uint32_t uid = 7;

        assert_true(cgroup_session("/user.slice/user-0.slice/session-c2.scope/x", &uid, id));
        assert_string_equal(id, "c2");
        assert_int_equal(uid, 0);
        assert_true(cgroup_session("/user.slice/user-4294967294.slice/carryover-session-9.scope", &uid, id));
        assert_string_equal(id, "9");
        assert_int_equal(uid, 4294967294u);
        assert_false(cgroup_session("/user.slice/user-4294967295.slice/session-9.scope", &uid, id));
        assert_false(cgroup_session("/user.slice/user-0.slice/session-a:b.scope", &uid, id));
        assert_false(cgroup_session("/user.slice/user-0.slice/session-.scope", &uid, id));
        assert_false(cgroup_session(NULL, &uid, id));
        memset(name, 'x', sizeof name - 1);
        name[sizeof name - 1] = '\0';
        snprintf(path, sizeof path, "/user.slice/user-0.slice/session-%s.scope", name);
        assert_true(cgroup_session(path, &uid, id));
        assert_string_equal(id, name);
        snprintf(path, sizeof path, "/user.slice/user-0.slice/session-%sx.scope", name);
        assert_false(cgroup_session(path, &uid, id));
        assert_true(cgroup_path_session("session-4.scope", id));
        assert_string_equal(id, "4");
        assert_false(cgroup_path_session("/session-4.scope", id));
        assert_false(cgroup_path_session("session-4.scope/x", id));
        assert_false(cgroup_path_session("carryover-session-4.scope", id));
}

static void slice_is(const char *cgroup, const char *expected) {
        _cleanup_(freep) char *slice = cgroup_slice(cgroup);

        assert_non_null(slice);
        assert_string_equal(slice, expected);
}

static void test_slice(void **state) {
        slice_is("/user.slice/user-7.slice/session-4.scope", "user-7.slice");
        slice_is("/user.slice/user-7.slice/user@7.service/app.slice/x.service", "user-7.slice");
        slice_is("/machine.slice/a.scope/evil.slice/x", "machine.slice");
        slice_is("/user.slice/a b.slice/c.slice/x", "user.slice");
        slice_is("/a.slice", "a.slice");
        slice_is("/init.scope", "-.slice");
        slice_is("/", "-.slice");
        slice_is(NULL, "-.slice");
}

static void test_user_manager(void **state) {
        static const char manager[] = "/user.slice/user-7.slice/user@7.service/init.scope";

        assert_true(cgroup_is_user_manager(manager));
        assert_false(cgroup_is_user_manager("/user.slice/user-7.slice/user@7.service/app.slice/init.scope"));
        assert_false(cgroup_is_user_manager("/machine.slice/a.scope/user@7.service/init.scope"));
        assert_false(cgroup_is_user_manager("/init.scope"));
        assert_false(cgroup_is_user_manager(NULL));
}

static void test_elsewhere(void **state) {
        (void)state;
        assert_false(cgroup_text_is_elsewhere(""));
        assert_false(cgroup_text_is_elsewhere("0::/user.slice/user-0.slice/session-4.scope\n"));
        assert_false(cgroup_text_is_elsewhere("2:name=mine:/\n1:cpu,cpuacct:/\n0::/init.scope\n"));
        assert_true(cgroup_text_is_elsewhere("2:name=mine:/bar\n1:cpu,cpuacct:/\n0::/init.scope\n"));
        assert_true(cgroup_text_is_elsewhere("0::/init.scope\n1:name=mine:/a/b"));
}

int main(void) {
        const struct CMUnitTest tests[] = {
                        cmocka_unit_test(test_unit),      cmocka_unit_test(test_session),
                        cmocka_unit_test(test_slice),     cmocka_unit_test(test_user_manager),
                        cmocka_unit_test(test_elsewhere),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: GPL-2.0-or-later */

/* The rows of check --all as people and programs read them. */

#include "report/census.h"

#include "base/cleanup.h"
#include "base/clock.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>
#include <json-c/json.h>

static Thing things[4];
static char *anew[] = {(char *)"cron.service", (char *)"dbus.service"};

static Thing thing(ThingKind kind, Fate fate, const char *what, const char *user, const char *why) {
        return (Thing){.kind = kind,
                       .fate = fate,
                       .what = (char *)what,
                       .user = (char *)user,
                       .why = (char *)why,
                       .uid = 1000,
                       .pid = 77,
                       .n_processes = 3};
}

static Census sample(void) {
        things[0] = thing(THING_SESSION, FATE_LOST, "session 5 (ssh)", "joe",
                          "not kept: carryover keep session:5");
        things[0].target = (char *)"session:5";
        things[1] = thing(THING_UNIT, FATE_LOST, "app.service", NULL,
                          "not enabled; not kept: carryover keep unit:app");
        things[2] = thing(THING_SESSION, FATE_LOSSES, "session 6 (ssh)", "ann",
                          "the terminal of vi is gone");
        things[3] = thing(THING_SESSION, FATE_CARRIED, "session 7 (tty1)", "root", NULL);
        return (Census){.things = things,
                        .n = 4,
                        .anew = anew,
                        .n_anew = 2,
                        .counts = {2, 1, 1},
                        .bytes = (UINT64_C(84) << 20) - 5,
                        .room = UINT64_C(3250) << 20,
                        .has_room = true,
                        .gap = 17 * USEC_PER_SEC + 400 * USEC_PER_MSEC};
}

static char *text_of(const Census *c, bool with_anew) {
        char *text = NULL;
        size_t size;
        FILE *out = open_memstream(&text, &size);

        assert_non_null(out);
        report_census(out, c, with_anew, (ReportStyle){0});
        assert_int_equal(fclose(out), 0);
        for (const char *line = text; *line; line += strcspn(line, "\n") + 1)
                if (strcspn(line, "\n") > 80)
                        fail_msg("more than 80 columns: %s", line);
        for (const char *p = text; *p; p++)
                if (*p != '\n' && (*p < ' ' || *p > '~'))
                        fail_msg("byte %02x in: %s", (unsigned char)*p, text);
        return text;
}

static void test_text(void **state) {
        Census c = sample();
        _cleanup_(freep) char *text = text_of(&c, false), *all = text_of(&c, true);

        assert_string_equal(text,
                            "WHAT              USER  FATE         WHY\n"
                            "session 5 (ssh)   joe   lost         not kept: carryover keep session:5\n"
                            "app.service       1000  lost         not enabled; not kept: carryover keep\n"
                            "                                     unit:app\n"
                            "session 6 (ssh)   ann   with losses  the terminal of vi is gone\n"
                            "session 7 (tty1)  root  carried\n"
                            "\n"
                            "1 carried, 1 with losses, 2 lost; about 84 MiB of 3.2 GiB;\n"
                            "  gap about 17 s (last time)\n"
                            "2 services start anew\n");
        assert_non_null(strstr(all, "cron.service            starts anew\n"));
        assert_non_null(strstr(all, "dbus.service            starts anew\n"));
}

static void test_nothing(void **state) {
        Census c = {0};
        _cleanup_(freep) char *text = text_of(&c, true);

        assert_string_equal(text, "0 carried, 0 with losses, 0 lost\n0 services start anew\n");
        c = sample();
        c.n = 0;
        c.n_anew = 1;
        c.has_room = false;
        free(text);
        text = text_of(&c, false);
        assert_non_null(strstr(text, "about 84 MiB; gap"));
        assert_non_null(strstr(text, "1 service starts anew\n"));
}

/* Names of cgroups and reasons that are longer than a terminal, and steer it. */
static void test_hostile(void **state) {
        char what[300], why[400];
        Census c = sample();
        _cleanup_(freep) char *text = NULL;

        memset(what, 'w', sizeof what);
        what[20] = '\033';
        what[40] = '\n';
        what[60] = (char)0xc2;
        what[sizeof what - 1] = '\0';
        memset(why, 'y', sizeof why);
        why[7] = ' ';
        why[200] = '\r';
        why[sizeof why - 1] = '\0';
        things[0].what = things[0].user = what;
        things[0].why = why;
        text = text_of(&c, true);
        assert_non_null(strstr(text, "session 6 (ssh)"));
        assert_non_null(strstr(text, "wwwwwww+")); /* the user's */
}

/* What reboot shows: no row of what is carried, and not all of many. */
static void test_lost(void **state) {
        Census c = sample();
        char *text = NULL;
        size_t size;
        FILE *out = open_memstream(&text, &size);

        assert_non_null(out);
        report_census_lost(out, &c, 2, (ReportStyle){0});
        c.counts[FATE_LOST] = c.counts[FATE_LOSSES] = 0;
        report_census_lost(out, &c, 2, (ReportStyle){0});
        assert_int_equal(fclose(out), 0);
        assert_string_equal(text,
                            "This reboot ends:\n"
                            "WHAT             USER  FATE  WHY\n"
                            "session 5 (ssh)  joe   lost  not kept: carryover keep session:5\n"
                            "app.service      1000  lost  not enabled; not kept: carryover keep unit:app\n"
                            "\n"
                            "and 1 more: carryover check --all\n\n");
        free(text);
}

static void test_json(void **state) {
        Census c = sample();
        Verdict machine = {0};
        char *text = NULL;
        size_t size;
        FILE *out = open_memstream(&text, &size);
        json_object *o, *list, *first, *x;

        assert_int_equal(report_census_json(out, &c, &machine, false), 0);
        assert_int_equal(fclose(out), 0);
        o = json_tokener_parse(text);
        assert_non_null(o);
        assert_true(json_object_object_get_ex(o, "things", &list));
        assert_int_equal(json_object_array_length(list), 4);
        first = json_object_array_get_idx(list, 1);
        assert_int_equal(json_object_object_length(first), 10);
        assert_true(json_object_object_get_ex(first, "user", &x) && !x);
        assert_true(json_object_object_get_ex(first, "target", &x) && !x);
        assert_true(json_object_object_get_ex(first, "fate", &x));
        assert_string_equal(json_object_get_string(x), "lost");
        assert_true(json_object_object_get_ex(o, "starts_anew", &list));
        assert_int_equal(json_object_array_length(list), 2);
        assert_true(json_object_object_get_ex(o, "with_losses", &x));
        assert_int_equal(json_object_get_int(x), 1);
        assert_true(json_object_object_get_ex(o, "room_bytes", &x) && x);
        assert_int_equal(json_object_object_length(o), 9);
        json_object_put(o);
        free(text);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                        cmocka_unit_test(test_text),    cmocka_unit_test(test_nothing),
                        cmocka_unit_test(test_hostile), cmocka_unit_test(test_lost),
                        cmocka_unit_test(test_json),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: GPL-2.0-or-later */

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/text.h"
#include "report/report.h"
#include "report/style.h"
#include "report/text.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>
#include <json-c/json.h>

#define SECOND USEC_PER_SEC

static Tree *add_tree(Ticket *ticket, const char *name, Outcome__State state, uint64_t gap) {
        Tree *tree = model_new(Tree, tree__init);
        Outcome *outcome = model_new(Outcome, outcome__init);

        assert_non_null(tree);
        assert_non_null(outcome);
        tree->name = strdup(name);
        tree->target = strdup("session:4");
        tree->comm = strdup("sshd");
        tree->root_pid = 1234;
        outcome->state = state;
        outcome->has_gap = gap > 0;
        outcome->gap = gap;
        tree->outcome = outcome;
        assert_int_equal(model_append(ticket->trees, ticket->n_trees, tree), 0);
        return tree;
}

static void add_step(Ticket *ticket, const char *name, const char *tree, uint64_t begin, bool after) {
        Step *step = model_new(Step, step__init);

        assert_non_null(step);
        step->name = strdup(name);
        step->tree = tree ? strdup(tree) : NULL;
        step->realtime = 1700000000 * SECOND + begin;
        step->monotonic = begin;
        step->duration = 250 * USEC_PER_MSEC;
        step->after_jump = after;
        assert_int_equal(model_append(ticket->steps, ticket->n_steps, step), 0);
}

static Ticket *sample(void) {
        Ticket *ticket = model_new(Ticket, ticket__init);

        assert_non_null(ticket);
        ticket->id = strdup("0123456789abcdef0123456789abcdef");
        ticket->version = strdup("0.1.0");
        ticket->old_boot = strdup("11111111-1111-1111-1111-111111111111");
        ticket->old_kernel = strdup("6.1.0-32-amd64");
        ticket->new_boot = strdup("22222222-2222-2222-2222-222222222222");
        ticket->new_kernel = strdup("6.12.38-amd64");
        ticket->machine = strdup("x86_64");
        ticket->action = strdup("kexec");
        ticket->hold_backend = strdup("iptables");
        ticket->sealed_at = 1700000003 * SECOND;
        return ticket;
}

static char *summary_of(const Ticket *ticket, bool colour) {
        char *text = NULL;
        size_t size;
        FILE *out = open_memstream(&text, &size);

        assert_non_null(out);
        report_headline(out, ticket, colour);
        report_details(out, ticket, true, colour);
        report_steps(out, ticket, colour);
        fclose(out);
        return text;
}

static json_object *json_of(const Ticket *ticket, const ReportNow *now) {
        _cleanup_(freep) char *text = NULL;
        size_t size;
        FILE *out = open_memstream(&text, &size);
        json_object *o;

        assert_non_null(out);
        assert_int_equal(report_json(out, ticket, now, false), 0);
        fclose(out);
        assert_int_equal(text[size - 1], '\n');
        assert_null(memchr(text, '\n', size - 1));
        o = json_tokener_parse(text);
        assert_non_null(o);
        return o;
}

static json_object *at(json_object *o, const char *key) {
        json_object *value = NULL;

        assert_true(json_object_object_get_ex(o, key, &value));
        return value;
}

static const char *text_at(json_object *o, const char *key) {
        return json_object_get_string(at(o, key));
}

static void test_verdict(void **state) {
        static const struct {
                Outcome__State a, b;
                ReportVerdict verdict;
        } cases[] = {
                        {OUTCOME__STATE__CARRIED, OUTCOME__STATE__CARRIED, REPORT_CARRIED},
                        {OUTCOME__STATE__CARRIED, OUTCOME__STATE__FAILED, REPORT_PARTLY},
                        {OUTCOME__STATE__CARRIED, OUTCOME__STATE__LOST, REPORT_PARTLY},
                        {OUTCOME__STATE__CARRIED, OUTCOME__STATE__LEFT, REPORT_PARTLY},
                        {OUTCOME__STATE__FAILED, OUTCOME__STATE__LEFT, REPORT_FAILED},
                        {OUTCOME__STATE__LEFT, OUTCOME__STATE__LEFT, REPORT_STOPPED},
                        {OUTCOME__STATE__FAILED, OUTCOME__STATE__PENDING, REPORT_PENDING},
        };

        for (size_t i = 0; i < ELEMENTS(cases); i++) {
                _cleanup_(ticket_freep) Ticket *ticket = sample();

                add_tree(ticket, "a", cases[i].a, 0);
                add_tree(ticket, "b", cases[i].b, 0);
                assert_int_equal(report_verdict(ticket), cases[i].verdict);
        }
}

static void add_ended(Ticket *ticket, const char *what, const char *user, const char *why) {
        Ended *ended = model_new(Ended, ended__init);

        assert_non_null(ended);
        ended->what = strdup(what);
        ended->user = strdup(user);
        ended->fate = strdup("lost");
        ended->why = why ? strdup(why) : NULL;
        assert_int_equal(model_append(ticket->ended, ticket->n_ended, ended), 0);
}

/* Whoever was not kept counts, unless there was no jump. */
static void test_verdict_of_the_machine(void **state) {
        _cleanup_(ticket_freep) Ticket *ticket = sample();
        Outcome *outcome = add_tree(ticket, "a", OUTCOME__STATE__CARRIED, 0)->outcome;

        assert_true(report_ok(ticket));
        add_ended(ticket, "session 5 (ssh)", "joe", NULL);
        assert_int_equal(report_verdict(ticket), REPORT_PARTLY);
        assert_true(report_trees_ok(ticket) && !report_ok(ticket));
        outcome->state = OUTCOME__STATE__FAILED;
        assert_false(report_trees_ok(ticket));
        assert_int_equal(report_verdict(ticket), REPORT_FAILED);
        outcome->state = OUTCOME__STATE__PENDING;
        assert_int_equal(report_verdict(ticket), REPORT_PENDING);
        outcome->state = OUTCOME__STATE__CARRIED;
        ticket->stopped = strdup("the shutdown was cancelled");
        assert_int_equal(report_verdict(ticket), REPORT_STOPPED);
        assert_false(report_trees_ok(ticket));
}

static void test_gap_is_the_longest_of_the_carried(void **state) {
        _cleanup_(ticket_freep) Ticket *ticket = sample();

        assert_int_equal(report_gap(ticket), 0);
        add_tree(ticket, "a", OUTCOME__STATE__CARRIED, 12 * SECOND);
        add_tree(ticket, "b", OUTCOME__STATE__CARRIED, 14 * SECOND);
        add_tree(ticket, "c", OUTCOME__STATE__FAILED, 90 * SECOND);
        assert_int_equal(report_gap(ticket), 14 * SECOND);
}

static int write_older(FILE *out, const void *ticket) {
        report_details(out, ticket, false, false);
        return 0;
}

static void test_summary(void **state) {
        _cleanup_(ticket_freep) Ticket *ticket = sample();
        _cleanup_(freep) char *text = NULL, *forced = NULL, *older = NULL;
        Tree *bad;

        add_tree(ticket, "session-4", OUTCOME__STATE__CARRIED, 14320 * USEC_PER_MSEC);
        bad = add_tree(ticket, "session-5", OUTCOME__STATE__FAILED, 0);
        bad->outcome->reason = strdup("restore.criu: address 192.0.2.7 is missing");
        bad->outcome->images = strdup("/var/lib/carryover/failed/0123/session-5");
        assert_int_equal(tree_degrade(bad, "bus", "start it again", "its D-Bus connection ends"), 0);
        add_step(ticket, "restore.criu", "session-4", 13 * SECOND, true);
        add_step(ticket, "save.dump", "session-4", 0, false);
        text = summary_of(ticket, false);
        assert_non_null(strstr(text, "Carried 1 of 2 to Linux 6.12.38-amd64, gap 14.3 s; 1 failed.\n"));
        assert_non_null(strstr(text, "because: restore.criu: address 192.0.2.7 is missing\n"));
        assert_non_null(strstr(text, "degraded: its D-Bus connection ends\n"));
        assert_non_null(strstr(text, "remedy: start it again\n"));
        assert_non_null(strstr(text,
                               "images kept: /var/lib/carryover/failed/0123/session-5\n"
                               "    to retry: carryover restore session-5, after the cause is removed\n"));
        bad->outcome->state = OUTCOME__STATE__LOST;
        forced = summary_of(ticket, false);
        assert_non_null(strstr(forced,
                               "to retry: carryover restore --force session-5, if work may be done twice"));
        assert_int_equal(text_written(write_older, ticket, &older), 0);
        assert_non_null(strstr(older, "images kept: "));
        assert_null(strstr(older, "to retry: ")); /* the next save has made an end of it */
        assert_non_null(strstr(text, "13.00 s      250 ms  new\n"));
        assert_true(strstr(text, "save.dump") < strstr(text, "restore.criu      "));
        assert_null(strchr(text, '\033'));
}

static char *answer_of(const Ticket *ticket) {
        char *text = NULL;
        size_t size;
        FILE *out = open_memstream(&text, &size);

        assert_non_null(out);
        report_answer(out, ticket, false);
        fclose(out);
        return text;
}

/* What is well needs no word. */
static void test_answer(void **state) {
        _cleanup_(ticket_freep) Ticket *ticket = sample();
        _cleanup_(freep) char *text = NULL;
        Tree *tree;

        add_tree(ticket, "session-4", OUTCOME__STATE__CARRIED, 19770 * USEC_PER_MSEC);
        tree = add_tree(ticket, "session-5", OUTCOME__STATE__CARRIED, SECOND);
        add_step(ticket, "save.dump", "session-4", 0, false);
        text = answer_of(ticket);
        assert_string_equal(text, "Carried 2 of 2 to Linux 6.12.38-amd64, gap 19.8 s.\n");
        free(TAKE(text));

        assert_int_equal(tree_degrade(tree, "bus", "start it again", "its D-Bus connection ends"), 0);
        add_tree(ticket, "session-6", OUTCOME__STATE__LOST, 0);
        tree = add_tree(ticket, "session-7", OUTCOME__STATE__LEFT, 0);
        tree->outcome->reason = strdup("an io_uring is open");
        text = answer_of(ticket);
        assert_string_equal(text, "Carried 2 of 4 to Linux 6.12.38-amd64, gap 19.8 s; 1 lost, 1 not saved.\n"
                                  "  session-5 carried\n"
                                  "    degraded: its D-Bus connection ends\n"
                                  "      remedy: start it again\n"
                                  "  session-6 lost\n"
                                  "  session-7 left: an io_uring is open\n");
        free(TAKE(text));
        ticket->trees[0]->outcome->state = OUTCOME__STATE__PENDING;
        text = answer_of(ticket);
        assert_true(starts_with(text, "Restored 1 of 4 so far, saved in Linux 6.1.0-32-amd64.\n"));
}

static void test_not_kept(void **state) {
        _cleanup_(ticket_freep) Ticket *ticket = sample();
        _cleanup_(freep) char *text = NULL, *all = NULL;
        json_object *o, *list;

        add_tree(ticket, "session-4", OUTCOME__STATE__CARRIED, SECOND);
        add_ended(ticket, "session 5 (ssh)", "joe", "not kept: carryover keep session:5");
        add_ended(ticket, "app\033.service", "root", NULL);
        add_ended(ticket, "7 more", "", NULL);
        ticket->ended[2]->has_count = true;
        ticket->ended[2]->count = 7;
        text = answer_of(ticket);
        assert_string_equal(text, "Carried 1 of 10 to Linux 6.12.38-amd64, gap 1.0 s; 9 not kept.\n"
                                  "\n"
                                  "  Not kept: session 5 (ssh) of joe, app?.service of root, 7 more\n");
        all = summary_of(ticket, false);
        assert_non_null(strstr(all, "\n  Not kept: session 5 (ssh) of joe, app?.service of root, 7 more\n"));

        o = json_of(ticket, NULL);
        assert_string_equal(text_at(o, "verdict"), "partly");
        list = at(o, "not_kept");
        assert_int_equal(json_object_array_length(list), 3);
        assert_string_equal(text_at(json_object_array_get_idx(list, 0), "what"), "session 5 (ssh)");
        assert_string_equal(text_at(json_object_array_get_idx(list, 0), "user"), "joe");
        assert_string_equal(text_at(json_object_array_get_idx(list, 0), "fate"), "lost");
        assert_string_equal(text_at(json_object_array_get_idx(list, 0), "why"),
                            "not kept: carryover keep session:5");
        assert_null(at(json_object_array_get_idx(list, 1), "why"));
        json_object_put(o);
}

/* A screen holds so many. */
static void test_many_not_kept(void **state) {
        _cleanup_(ticket_freep) Ticket *ticket = sample();
        _cleanup_(freep) char *text = NULL;

        add_tree(ticket, "session-4", OUTCOME__STATE__CARRIED, SECOND);
        for (unsigned i = 1; i <= 22; i++) {
                _cleanup_(freep) char *what = text_format("unit-%u", i);

                add_ended(ticket, what, "joe", NULL);
        }
        text = answer_of(ticket);
        assert_non_null(strstr(text, "unit-20 of joe\n  and 2 more: carryover status --json\n"));
        assert_non_null(strstr(text,
                               ", unit-4 of joe,\n            unit-5 of joe, ")); /* and not inside one */
        assert_null(strstr(text, "unit-21"));
}

static void style_is(const char *all, const char *type, const char *lang, bool utf8) {
        static const char *const names[] = {"LC_ALL", "LC_CTYPE", "LANG"};
        const char *const values[] = {all, type, lang};

        for (size_t i = 0; i < ELEMENTS(names); i++)
                if (values[i])
                        (void)setenv(names[i], values[i], 1);
                else
                        (void)unsetenv(names[i]);
        assert_int_equal(report_style().utf8, utf8);
        assert_false(report_style().colour); /* a test's output is no terminal, or TERM is dumb */
}

static void test_style(void **state) {
        (void)setenv("TERM", "dumb", 1);
        style_is(NULL, NULL, NULL, false);
        style_is(NULL, NULL, "C", false);
        style_is(NULL, NULL, "C.UTF-8", true);
        style_is("", "", "de_DE.utf8@euro", true);
        style_is("C", NULL, "de_DE.UTF-8", false);
        style_is(NULL, "POSIX", "de_DE.UTF-8", false);
        style_is(NULL, "de_DE.UTF-8", "C", true);
        style_is(NULL, NULL, "de_DE.ISO-8859-1", false);
}

static void test_summary_of_a_stopped_save(void **state) {
        _cleanup_(ticket_freep) Ticket *ticket = sample();
        _cleanup_(freep) char *text = NULL;

        free(TAKE(ticket->new_kernel));
        ticket->stopped = strdup("session-4: an io_uring is open");
        add_tree(ticket, "session-4", OUTCOME__STATE__LEFT, 0);
        text = summary_of(ticket, false);
        assert_non_null(strstr(
                        text,
                        "Nothing was saved: 1 tree was left running in Linux 6.1.0-32-amd64; carryover\n"
                        "                   did not start the shutdown.\n"));
        free(TAKE(text));
        ticket->trees[0]->outcome->state = OUTCOME__STATE__CARRIED; /* somebody's shutdown, called off */
        text = summary_of(ticket, false);
        assert_non_null(strstr(text, "Not rebooted: 1 tree still runs in"));
        free(TAKE(text));
        ticket->trees[0]->outcome->state = OUTCOME__STATE__LEFT;
        ticket->has_request_at = true;
        text = summary_of(ticket, false);
        assert_non_null(strstr(text, "Not rebooted: 1 tree still runs in Linux 6.1.0-32-amd64.\n"));
        assert_non_null(strstr(text, "Because: session-4: an io_uring is open\n"));
        assert_false(report_ok(ticket));
}

/* The jump did not happen: what came back in the old kernel was not carried into another, what did not is
 * lost. */
static void test_verdict_without_a_jump(void **state) {
        _cleanup_(ticket_freep) Ticket *ticket = sample();

        ticket->stopped = strdup("the shutdown was cancelled");
        add_tree(ticket, "session-4", OUTCOME__STATE__CARRIED, SECOND);
        assert_int_equal(report_verdict(ticket), REPORT_STOPPED);
        add_tree(ticket, "session-5", OUTCOME__STATE__FAILED, 0);
        assert_int_equal(report_verdict(ticket), REPORT_PARTLY);
        ticket->trees[0]->outcome->state = OUTCOME__STATE__PENDING;
        assert_int_equal(report_verdict(ticket), REPORT_PENDING);
}

static void test_soft_reboot(void **state) {
        _cleanup_(ticket_freep) Ticket *ticket = sample();
        _cleanup_(freep) char *text = NULL;

        add_tree(ticket, "session-4", OUTCOME__STATE__CARRIED, 21 * SECOND);
        assert_int_equal(model_set_string(&ticket->action, "soft-reboot"), 0);
        assert_false(report_is_soft(ticket)); /* the machine went down in it */
        assert_int_equal(model_set_string(&ticket->new_boot, ticket->old_boot), 0);
        assert_int_equal(model_set_string(&ticket->new_kernel, ticket->old_kernel), 0);
        assert_true(report_ok(ticket));
        text = summary_of(ticket, false);
        assert_non_null(strstr(text,
                               "Carried 1 of 1 over a soft-reboot of Linux 6.1.0-32-amd64, gap 21.0 s.\n"));
}

/* Long sentences are broken, and a process name can't speak to the terminal. */
static void test_summary_is_narrow_and_harmless(void **state) {
        _cleanup_(ticket_freep) Ticket *ticket = sample();
        _cleanup_(freep) char *text = NULL, *colourful = NULL;
        Tree *tree = add_tree(ticket, "a-name-that-is-much-longer-than-its-column", OUTCOME__STATE__FAILED,
                              1000000 * SECOND);
        char reason[600];

        for (size_t i = 0; i < sizeof reason - 1; i++)
                reason[i] = i % 7 == 6 ? ' ' : 'x';
        reason[sizeof reason - 1] = '\0';
        tree->outcome->reason = strdup(reason);
        free(tree->comm);
        tree->comm = strdup("\033]0;own\a\x9b\xc2\x9b");
        add_step(ticket, "a.step.with.a.very.long.name.indeed", "a-name-that-is-much-longer-than-its-column",
                 4294967295u * SECOND, true);
        text = summary_of(ticket, false);
        for (char *line = strtok(text, "\n"); line; line = strtok(NULL, "\n")) {
                assert_true(strlen(line) <= REPORT_COLUMNS);
                for (char *p = line; *p; p++)
                        assert_in_range(*p, ' ', '~');
        }
        colourful = summary_of(ticket, true);
        assert_non_null(strstr(colourful, "\033[31m"));
        assert_null(strstr(colourful, "\033]"));
}

static void test_json(void **state) {
        _cleanup_(ticket_freep) Ticket *ticket = sample();
        Tree *tree = add_tree(ticket, "session-4", OUTCOME__STATE__CARRIED, 14 * SECOND);
        ReportNow now = {.phase = PHASE_IDLE, .kept = 3};
        json_object *o, *t, *s;

        assert_int_equal(tree_degrade(tree, "bus", NULL, "caf\xc3\xa9 \xff \xed\xa0\x80 \xc2"), 0);
        add_step(ticket, "save.settle", NULL, 0, false);
        o = json_of(ticket, &now);
        assert_string_equal(text_at(o, "verdict"), "carried");
        assert_string_equal(text_at(at(o, "old"), "kernel"), "6.1.0-32-amd64");
        assert_string_equal(text_at(at(o, "new"), "boot_id"), "22222222-2222-2222-2222-222222222222");
        assert_int_equal(json_object_get_uint64(at(o, "gap_usec")), 14 * SECOND);
        assert_null(at(o, "done_usec"));
        assert_int_equal(json_object_get_uint64(at(o, "kept")), 3);
        assert_false(json_object_get_boolean(at(o, "hold")));
        t = json_object_array_get_idx(at(o, "trees"), 0);
        assert_string_equal(text_at(t, "state"), "carried");
        assert_null(at(t, "reason"));
        assert_string_equal(text_at(json_object_array_get_idx(at(t, "notes"), 0), "text"),
                            "caf\xc3\xa9 ? ??? ?");
        s = json_object_array_get_idx(at(o, "steps"), 0);
        assert_null(at(s, "tree"));
        assert_int_equal(json_object_get_uint64(at(s, "duration_usec")), 250000);
        json_object_put(o);
}

static void test_json_of_nothing(void **state) {
        ReportNow now = {.phase = PHASE_SEALED, .hold = true, .held = 2};
        json_object *o = json_of(NULL, &now);

        assert_string_equal(text_at(o, "phase"), "sealed");
        assert_int_equal(json_object_get_uint64(at(o, "held_connections")), 2);
        assert_false(json_object_object_get_ex(o, "trees", NULL));
        json_object_put(o);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                        cmocka_unit_test(test_verdict),
                        cmocka_unit_test(test_verdict_of_the_machine),
                        cmocka_unit_test(test_gap_is_the_longest_of_the_carried),
                        cmocka_unit_test(test_summary),
                        cmocka_unit_test(test_answer),
                        cmocka_unit_test(test_not_kept),
                        cmocka_unit_test(test_many_not_kept),
                        cmocka_unit_test(test_style),
                        cmocka_unit_test(test_summary_of_a_stopped_save),
                        cmocka_unit_test(test_verdict_without_a_jump),
                        cmocka_unit_test(test_soft_reboot),
                        cmocka_unit_test(test_summary_is_narrow_and_harmless),
                        cmocka_unit_test(test_json),
                        cmocka_unit_test(test_json_of_nothing),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: GPL-2.0-or-later */

/* The picture of a timeline: well-formed whatever its names and times are. */

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/text.h"
#include "report/report.h"

#include <ctype.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define NOON (1764417600 * USEC_PER_SEC)

typedef struct Sample {
        const char *name, *tree;
        uint64_t begin, duration; /* milliseconds */
        bool after;
} Sample;

static const Sample samples[] = {
                {"restore.criu", "session-4", 18900, 310, true},
                {"save.settle", NULL, 0, 1210, false},
                {"save.hold", NULL, 1210, 42, false},
                {"save.dump", "session-4", 1260, 480, false},
                {"save.dump", "session-5", 1261, 730, false},
                {"save.verify", "session-4", 1740, 60, false},
                {"save.sync", NULL, 1995, 88, false},
                {"save.seal", NULL, 2085, 9, false},
                {"jump.load", NULL, 2100, 410, false},
                {"jump.shutdown", NULL, 2510, 3100, false},
                {"boot.early", NULL, 5610, 4200, true},
                {"restore.prepare", NULL, 9810, 120, true},
                {"restore.network", "session-4", 9950, 8940, true},
                {"restore.network", "session-5", 9950, 9420, true},
                {"restore.criu", "session-5", 19380, 390, true},
};

static void add_step(Ticket *t, const Sample *s) {
        Step *step = model_new(Step, step__init);

        assert_non_null(step);
        step->name = strdup(s->name);
        step->tree = s->tree ? strdup(s->tree) : NULL;
        step->realtime = NOON + s->begin * USEC_PER_MSEC;
        step->duration = s->duration * USEC_PER_MSEC;
        step->after_jump = s->after;
        assert_int_equal(model_append(t->steps, t->n_steps, step), 0);
}

static Tree *add_tree(Ticket *t, const char *name, uint64_t frozen, uint64_t gap) {
        Tree *tree = model_new(Tree, tree__init);

        assert_non_null(tree);
        tree->name = strdup(name);
        tree->outcome = model_new(Outcome, outcome__init);
        assert_non_null(tree->outcome);
        tree->outcome->state = OUTCOME__STATE__CARRIED;
        tree->outcome->has_gap = tree->has_frozen_at = true;
        tree->frozen_at = NOON + frozen * USEC_PER_MSEC;
        tree->outcome->gap = gap * USEC_PER_MSEC;
        assert_int_equal(model_append(t->trees, t->n_trees, tree), 0);
        return tree;
}

static Ticket *sample(void) {
        Ticket *t = model_new(Ticket, ticket__init);

        assert_non_null(t);
        t->old_kernel = strdup("6.1.0-54-amd64");
        t->new_kernel = strdup("6.12.118-amd64");
        t->sealed_at = NOON + 2 * USEC_PER_SEC;
        (void)add_tree(t, "session-4", 1300, 17900);
        (void)add_tree(t, "session-5", 1310, 18460);
        for (size_t i = 0; i < ELEMENTS(samples); i++)
                add_step(t, samples + i);
        return t;
}

static int write_svg(FILE *out, const void *report) {
        return report_svg(out, report);
}

static const char *past(const char *p, const char *allowed) {
        return p + strspn(p, allowed);
}

/* One tag behind its "<", with attributes in quotation marks. Returns what is behind its ">". */
static const char *tag(const char *p, char names[][16], size_t *depth) {
        bool ends = *p == '/', closed;
        char name[16];
        size_t n;

        p += ends;
        n = strspn(p, "abcdefghijklmnopqrstuvwxyz");
        assert_in_range(n, 1, sizeof name - 1);
        memcpy(name, p, n);
        name[n] = '\0';
        p += n;
        for (p = past(p, " "); isalpha((unsigned char)*p); p = past(p, " ")) {
                p = past(p, "abcdefghijklmnopqrstuvwxyz-0123456789");
                assert_memory_equal(p, "=\"", 2);
                p = strpbrk(p + 2, "\"<&");
                assert_true(p && *p == '"');
                p++;
        }
        closed = *p == '/';
        p += closed;
        assert_int_equal(*p, '>');
        if (ends) {
                assert_true(*depth > 0);
                assert_string_equal(names[--*depth], name);
        } else if (!closed) {
                assert_true(*depth < 8);
                strcpy(names[(*depth)++], name);
        }
        return p + 1;
}

static void well_formed(const char *p) {
        static const char declaration[] = "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n";
        static const char *const entities[] = {"&amp;", "&lt;", "&gt;"};
        char names[8][16];
        size_t depth = 0;

        assert_true(starts_with(p, declaration));
        for (p += sizeof declaration - 1; *p;) {
                bool known = false;

                assert_true(*p == '\n' || (*p >= ' ' && *p <= '~'));
                if (*p == '<') {
                        p = tag(p + 1, names, &depth);
                        continue;
                }
                for (size_t i = 0; i < ELEMENTS(entities); i++)
                        known = known || starts_with(p, entities[i]);
                assert_true(*p != '&' || known);
                assert_true(depth > 0 || *p == '\n');
                p++;
        }
        assert_int_equal(depth, 0);
}

static size_t count(const char *text, const char *what) {
        size_t n = 0;

        for (; (text = strstr(text, what)); text++)
                n++;
        return n;
}

static void test_picture(void **state) {
        _cleanup_(ticket_freep) Ticket *t = sample();
        _cleanup_(freep) char *text = NULL;

        assert_int_equal(text_written(write_svg, t, &text), 0);
        well_formed(text);
        assert_non_null(strstr(text, ">Carried 2 of 2 to Linux 6.12.118-amd64, gap 18.5 s.<"));
        assert_non_null(strstr(text, ">save.settle (1.21 s)<"));
        assert_non_null(strstr(text, ">restore.criu session-4 (310 ms)<"));
        assert_non_null(strstr(text, ">session-5 is silent (18.46 s)<"));
        assert_non_null(strstr(text, ">19 s</text>"));
        assert_int_equal(count(text, "<rect class=\"gap\""), 1);
        assert_int_equal(count(text, "<rect class=\"jump\""), 2 + 1); /* one in the legend */
        assert_true(strstr(text, "save.settle") < strstr(text, "save.hold"));
}

static void test_names(void **state) {
        static const Sample odd[] = {{"a<b>&\"'", "</text><script>", 5, 5, false},
                                     {"\033[31m\x01\xff\xc3\xa9", "]]>", 7, 0, true}};
        _cleanup_(ticket_freep) Ticket *t = sample();
        _cleanup_(freep) char *text = NULL;

        for (size_t i = 0; i < ELEMENTS(odd); i++)
                add_step(t, odd + i);
        (void)add_tree(t, "<&>", 3, 4);
        assert_int_equal(model_set_string(&t->new_kernel, "<svg>"), 0);
        assert_int_equal(text_written(write_svg, t, &text), 0);
        well_formed(text);
        assert_null(strstr(text, "<script"));
        assert_non_null(strstr(text, "a&lt;b&gt;&amp;\"' &lt;/text&gt;&lt;script&gt; (5 ms)"));
}

/* Out of a file: no time makes the picture larger, or takes longer to draw. */
static void test_times(void **state) {
        static const uint64_t times[][2] = {
                        {0, 0}, {UINT64_MAX, UINT64_MAX}, {0, UINT64_MAX}, {1, 1}, {UINT64_MAX, 0}};

        for (size_t i = 0; i < ELEMENTS(times); i++) {
                _cleanup_(ticket_freep) Ticket *t = sample();
                _cleanup_(freep) char *text = NULL;

                t->steps[0]->realtime = times[i][0];
                t->steps[0]->duration = times[i][1];
                t->trees[0]->frozen_at = times[i][1];
                t->trees[0]->outcome->gap = times[i][0];
                assert_int_equal(text_written(write_svg, t, &text), 0);
                well_formed(text);
                assert_in_range(count(text, "<line"), 2, 26);
                assert_null(strstr(text, "nan"));
                assert_null(strstr(text, "inf"));
        }
}

static void test_one_moment(void **state) {
        static const Sample moment = {"save.seal", NULL, 0, 0, false};
        _cleanup_(ticket_freep) Ticket *t = model_new(Ticket, ticket__init);
        _cleanup_(freep) char *text = NULL;

        t->old_kernel = strdup("6.1");
        assert_int_equal(text_written(write_svg, t, &text), -ENODATA);
        add_step(t, &moment);
        assert_int_equal(text_written(write_svg, t, &text), 0);
        well_formed(text);
        assert_int_equal(count(text, "<line"), 1);
}

int main(int argc, char **argv) {
        const struct CMUnitTest tests[] = {
                        cmocka_unit_test(test_picture),
                        cmocka_unit_test(test_names),
                        cmocka_unit_test(test_times),
                        cmocka_unit_test(test_one_moment),
        };

        if (argc > 1)
                return report_svg(stdout, sample());
        return cmocka_run_group_tests(tests, NULL, NULL);
}

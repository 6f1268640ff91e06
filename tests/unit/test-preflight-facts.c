/* SPDX-License-Identifier: GPL-2.0-or-later */

/* What nobody has established about the machine is no fact that is fine. */

#include "base/err.h"
#include "base/text.h"
#include "preflight/preflight.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#define ALL ((UINT32_C(1) << FACT_N) - 1)

/* Of each fact, what the refusal names it by. */
static const char *const names[FACT_N] = {
                [FACT_CRIU] = "CRIU works",
                [FACT_FEATURES] = "features this CRIU has",
                [FACT_TARGET] = "next kernel",
                [FACT_SERVICE] = "carryover.service",
                [FACT_STORE] = "whether the store is writable",
                [FACT_ROOM] = "how much space",
                [FACT_RETRY] = "can be retried",
                [FACT_WAITING] = "not restored yet",
                [FACT_PROFILES] = "AppArmor",
                [FACT_HOLD] = "packets",
                [FACT_ENCRYPT] = "encrypted",
                [FACT_KEXEC] = "kexec",
                [FACT_KERNEL] = "which kernel",
                [FACT_INHIBIT] = "inhibits",
};

static void test_forgotten(void **state) {
        Snapshot s = {0};
        Tree tree = TREE__INIT;

        (void)state;
        for (size_t i = 0; i < FACT_N; i++) {
                const PreflightFacts f = {.known = ALL & ~(UINT32_C(1) << i)};
                Verdict v = {0};

                assert_int_equal(preflight_machine(&f, &v), -ENODATA);
                if (!names[i] || !strstr(err_text(-ENODATA), names[i]))
                        fail_msg("fact %zu: %s", i, err_text(-ENODATA));
                assert_int_equal(preflight_tree(&s, &tree, &f, &v), -ENODATA);
                assert_int_equal(v.n_notes, 0);
        }
}

static void test_left_out(void **state) {
        (void)state;
        for (size_t i = 0; i < FACT_N; i++) {
                const uint32_t bit = UINT32_C(1) << i;
                const PreflightFacts left = {.known = ALL & ~bit, .not_asked = bit};
                Verdict v = {0};

                assert_int_equal(preflight_machine(&left, &v), 0);
                assert_int_equal(v.n_notes, 0);
        }
}

/* What nobody can find out is said, and forbids nothing. */
static void test_not_known(void **state) {
        (void)state;
        for (size_t i = 0; i < FACT_N; i++) {
                PreflightFacts f = {.known = ALL & ~(UINT32_C(1) << i)};
                Verdict v = {0};

                assert_int_equal(preflight_know_if(&f, (PreflightFact)i, err_say(-EIO, "it is dark")), 0);
                assert_int_equal(preflight_facts_complete(&f), 0);
                assert_int_equal(preflight_machine(&f, &v), 0);
                if (i != FACT_FEATURES && i != FACT_ROOM) { /* no sentence of the machine's */
                        assert_int_equal(v.n_notes, 1);
                        assert_int_equal(v.level, VERDICT_DEGRADED);
                        assert_string_equal(v.notes[0].text, "it is dark");
                        assert_null(v.notes[0].remedy);
                }
                verdict_done(&v);
                preflight_facts_done(&f);
        }
}

/* Whoever has no store need not say what is in it. */
static void test_rests_on(void **state) {
        const struct {
                PreflightFact wrong;
                uint32_t rest;
        } cases[] = {
                        {FACT_STORE, FACT(ROOM) | FACT(RETRY) | FACT(WAITING)},
                        {FACT_CRIU, FACT(FEATURES) | FACT(TARGET)},
                        {FACT_KERNEL, FACT(TARGET)},
        };

        (void)state;
        for (size_t i = 0; i < ELEMENTS(cases); i++) {
                PreflightFacts f = {.known = ALL & ~cases[i].rest};

                assert_int_equal(preflight_facts_complete(&f), -ENODATA);
                assert_int_equal(preflight_know(&f, cases[i].wrong, err_say(-EIO, "it is broken")), 0);
                assert_int_equal(preflight_facts_complete(&f), 0);
                f.known &= ~FACT(HOLD);
                assert_int_equal(preflight_facts_complete(&f), -ENODATA);
                preflight_facts_done(&f);
        }
}

/* A check tells of it, a reboot obeys it unless it is told not to. */
static void test_inhibited(void **state) {
        PreflightFacts f = {.known = ALL};
        Verdict v = {0};

        (void)state;
        f.wrong[FACT_INHIBIT] = strdup("\"apt\" (PID 812, root) inhibits a shutdown: upgrade in progress");
        assert_int_equal(preflight_machine(&f, &v), 0);
        assert_int_equal(v.level, VERDICT_DEGRADED);
        assert_string_equal(v.notes[0].what, "inhibited");
        verdict_done(&v);
        f.must_obey = true;
        assert_int_equal(preflight_machine(&f, &v), 0);
        assert_int_equal(v.level, VERDICT_REFUSED);
        assert_string_equal(v.notes[0].remedy, "wait for it, or use --ignore-inhibitors");
        verdict_done(&v);
        f.must_obey = false;
        f.overridden = true; /* it is named all the same, and nobody is told what they have done */
        assert_int_equal(preflight_machine(&f, &v), 0);
        assert_int_equal(v.level, VERDICT_DEGRADED);
        assert_null(v.notes[0].remedy);
        verdict_done(&v);
        preflight_facts_done(&f);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                        cmocka_unit_test(test_forgotten), cmocka_unit_test(test_left_out),
                        cmocka_unit_test(test_not_known), cmocka_unit_test(test_rests_on),
                        cmocka_unit_test(test_inhibited),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: GPL-2.0-or-later */

/* preflight/: says what the machine's trees are told to be said (FakeTree). */

#include "preflight/preflight.h"

#include "base/err.h"
#include "tests/fakes/fake.h"

#include <string.h>

int preflight_tree(const Snapshot *s, const Tree *tree, const PreflightFacts *facts, Verdict *ret) {
        const FakeTree *t = fake_tree((pid_t)tree->root_pid);
        int r = fake_call("preflight_tree", "%s", tree->name);

        if (r >= 0)
                r = preflight_facts_complete(facts);
        *ret = (Verdict){0};
        if (r >= 0 && !snapshot_process(s, (pid_t)tree->root_pid))
                return verdict_add(ret, VERDICT_REFUSED, "gone", NULL, "it has ended");
        if (r >= 0 && t && t->refusal[0])
                r = verdict_add(ret, VERDICT_REFUSED, "fake", "wait", "%s", t->refusal);
        if (r >= 0 && t && t->loss[0])
                r = verdict_add(ret, VERDICT_DEGRADED, "loss", NULL, "%s", t->loss);
        if (r >= 0 && t && t->beyond[0] && facts->frozen)
                r = verdict_add(ret, VERDICT_REFUSED, "beyond", NULL, "%s", t->beyond);
        return r;
}

int preflight_peers(const Snapshot *s, Candidate *candidates, size_t n) {
        (void)s;
        (void)candidates;
        return fake_call("preflight_peers", "%zu", n);
}

/* Of a refusal that says so. */
bool preflight_may_pass(const Verdict *v) {
        return v->n_notes > 0 && strcmp(v->notes[0].text, "it ends just now") == 0 &&
               fake_call("preflight_may_pass", "%s", "") >= 0;
}

int preflight_machine(const PreflightFacts *facts, Verdict *ret) {
        int r = fake_call("preflight_machine", "%s", "");

        if (r >= 0)
                r = preflight_facts_complete(facts);
        *ret = (Verdict){0};
        if (r >= 0 && fake->machine_refusal[0])
                r = verdict_add(ret, VERDICT_REFUSED, "fake", "wait", "%s", fake->machine_refusal);
        if (r >= 0 && facts->wrong[FACT_STORE])
                r = verdict_add(ret, VERDICT_REFUSED, "store", NULL, "%s", facts->wrong[FACT_STORE]);
        if (r >= 0 && facts->wrong[FACT_ENCRYPT])
                r = verdict_add(ret, VERDICT_REFUSED, "encrypt", NULL, "%s", facts->wrong[FACT_ENCRYPT]);
        if (r >= 0 && facts->wrong[FACT_INHIBIT])
                r = verdict_add(ret, facts->must_obey ? VERDICT_REFUSED : VERDICT_DEGRADED, "inhibited",
                                "wait", "%s", facts->wrong[FACT_INHIBIT]);
        return r;
}

int preflight_limits(const PreflightFacts *facts, Candidate *candidates, size_t n) {
        (void)facts;
        for (size_t i = 0; i < n; i++)
                candidates[i].limit = (StoreShare){.bytes = UINT64_C(1) << 20, .names = 100};
        return fake_call("preflight_limits", "%zu", n);
}

int preflight_huge(const Snapshot *s, Candidate *candidates, size_t n) {
        int r = fake_call("preflight_huge", "%zu", n);

        (void)s;
        for (size_t i = 0; r >= 0 && i < n; i++)
                if (candidates[i].needs.huge > 0)
                        r = verdict_add(&candidates[i].verdict, VERDICT_REFUSED, "huge", NULL,
                                        "all have too many huge pages");
        return r;
}

int preflight_needs(const Snapshot *s, const Tree *tree, PreflightNeeds *ret) {
        const FakeTree *t = fake_tree((pid_t)tree->root_pid);

        (void)s;
        *ret = (PreflightNeeds){.bytes = 1, .huge = t ? t->huge : 0};
        return fake_call("preflight_needs", "%s", tree->name);
}

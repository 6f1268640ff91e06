/* SPDX-License-Identifier: GPL-2.0-or-later */

/* A fact that somebody forgot to gather is empty, as is one that is fine. So each must be said to be
 * there. */

#include "preflight/facts.h"

#include "base/err.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static const struct {
        const char *what;
        uint32_t rests_on; /* one of these wrong: it cannot be established */
} rows[FACT_N] = {
                [FACT_CRIU] = {"whether CRIU works on this kernel", 0},
                [FACT_FEATURES] = {"which features this CRIU has", FACT(CRIU)},
                [FACT_TARGET] = {"whether CRIU can restore on the next kernel", FACT(CRIU) | FACT(KERNEL)},
                [FACT_SERVICE] = {"whether carryover.service is active", 0},
                [FACT_STORE] = {"whether the store is writable", 0},
                [FACT_ROOM] = {"how much space the store has", FACT(STORE)},
                [FACT_RETRY] = {"which trees of the last save can be retried", FACT(STORE)},
                [FACT_WAITING] = {"which trees of the last save are not restored yet", FACT(STORE)},
                [FACT_PROFILES] = {"which AppArmor profiles are loaded", 0},
                [FACT_HOLD] = {"whether packets can be held", 0},
                [FACT_ENCRYPT] = {"whether images are encrypted", 0},
                [FACT_KEXEC] = {"whether kexec is allowed", 0},
                [FACT_KERNEL] = {"which kernel can be loaded", 0},
                [FACT_INHIBIT] = {"whether somebody inhibits a shutdown", 0},
};

static int keep_sentence(PreflightFacts *facts, PreflightFact fact, int r) {
        if (r >= 0)
                return 0;
        facts->wrong[fact] = strdup(err_text(r));
        return facts->wrong[fact] ? 0 : -ENOMEM;
}

int preflight_know(PreflightFacts *facts, PreflightFact fact, int r) {
        facts->known |= UINT32_C(1) << fact;
        return keep_sentence(facts, fact, r);
}

int preflight_know_if(PreflightFacts *facts, PreflightFact fact, int r) {
        if (r >= 0)
                return preflight_know(facts, fact, r);
        facts->not_known |= UINT32_C(1) << fact;
        return keep_sentence(facts, fact, r);
}

int preflight_facts_complete(const PreflightFacts *facts) {
        uint32_t wrong = 0;

        for (size_t i = 0; i < FACT_N; i++)
                if (facts->wrong[i])
                        wrong |= UINT32_C(1) << i;
        for (size_t i = 0; i < FACT_N; i++) {
                const uint32_t sets = facts->known | facts->not_known | facts->not_asked;

                if (!(sets & UINT32_C(1) << i) && !(wrong & rows[i].rests_on))
                        return err_say(-ENODATA, "no verdict: carryover did not check %s", rows[i].what);
        }
        return 0;
}

void preflight_facts_done(PreflightFacts *facts) {
        for (size_t i = 0; i < FACT_N; i++)
                free(facts->wrong[i]);
        free(facts->profiles);
        *facts = (PreflightFacts){0};
}

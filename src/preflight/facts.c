/* SPDX-License-Identifier: GPL-2.0-or-later */

/* A fact that somebody forgot to gather is empty, as is one that is fine. So each must be said to be there.
 */

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
                [FACT_FEATURES] = {"what this CRIU saves", FACT(CRIU)},
                [FACT_TARGET] = {"whether CRIU can restore on the next kernel", FACT(CRIU) | FACT(KERNEL)},
                [FACT_SERVICE] = {"whether carryover.service is active", 0},
                [FACT_STORE] = {"whether the store can be written to", 0},
                [FACT_ROOM] = {"what room the store has", FACT(STORE)},
                [FACT_RETRY] = {"what of the last save can be tried again", FACT(STORE)},
                [FACT_WAITING] = {"what of the last save is not back yet", FACT(STORE)},
                [FACT_PROFILES] = {"which profiles of AppArmor are loaded", 0},
                [FACT_HOLD] = {"whether packets can be held", 0},
                [FACT_ENCRYPT] = {"whether images are encrypted", 0},
                [FACT_KEXEC] = {"whether kexec is allowed", 0},
                [FACT_KERNEL] = {"which kernel can be jumped into", 0},
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
                        return err_say(-ENODATA, "nobody has asked %s, so there is no verdict",
                                       rows[i].what);
        }
        return 0;
}

void preflight_facts_done(PreflightFacts *facts) {
        for (size_t i = 0; i < FACT_N; i++)
                free(facts->wrong[i]);
        free(facts->profiles);
        *facts = (PreflightFacts){0};
}

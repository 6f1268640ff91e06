/* SPDX-License-Identifier: GPL-2.0-or-later */

#include "inspect/measures.h"

#include "base/cleanup.h"
#include "base/err.h"
#include "inspect/kept.h"
#include "store/room.h"

static int check(const Config *config, VerdictLevel *ret) {
        _cleanup_(preflight_facts_done) PreflightFacts facts = {0};
        _cleanup_(candidates_done) Candidates kept = {0};
        int r = facts_gather(config, NULL, true, &facts);

        if (r >= 0)
                r = kept_judged(config, &facts, &kept);
        if (r < 0)
                return err_pass(r);
        *ret = candidates_level(&kept);
        return 0;
}

int measures_take(const Config *config, ReportMeasures *ret) {
        _cleanup_(store_close) Store store = {.fd = -1};
        ReportMeasures measures;
        StoreSpace space;
        int r = store_open(config, &store);

        if (r >= 0)
                r = store_space(&store, &space);
        if (r >= 0)
                r = check(config, &measures.check);
        if (r < 0)
                return err_pass(r);
        measures.store_bytes = space.used;
        *ret = measures;
        return 0;
}

/* SPDX-License-Identifier: GPL-2.0-or-later */

#include "flow/metrics.h"

#include "base/cleanup.h"
#include "base/err.h"
#include "base/text.h"
#include "files/config.h"
#include "flow/flow.h"
#include "flow/now.h"
#include "inspect/measures.h"
#include "send/publish.h"

#include <stdlib.h>

static int write_all(FILE *out, const void *config) {
        _cleanup_(now_done) Now now = {0};
        ReportMeasures measures;
        int r = now_look(NULL, &now);

        if (r >= 0)
                r = measures_take(config, &measures);
        return r < 0 ? err_pass(r) : report_metrics(out, now.ticket, &now.stands, &measures);
}

int metrics_write(FILE *out) {
        Config config;
        int r = config_load("", &config);

        return r < 0 ? err_pass(r) : write_all(out, &config);
}

ExitStatus flow_metrics(void) {
        _cleanup_(freep) char *text = NULL;
        Config config;
        int r = config_load("", &config);

        if (r >= 0)
                r = text_written(write_all, &config, &text);
        if (r >= 0)
                r = publish(config.metrics, "carryover.prom", text);
        return r < 0 ? flow_fail(r) : EXIT_OK;
}

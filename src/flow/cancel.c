/* SPDX-License-Identifier: GPL-2.0-or-later */

#include "flow/cancel.h"

#include "base/clock.h"
#include "base/err.h"
#include "base/log.h"
#include "files/config.h"
#include "flow/flow.h"
#include "jump/call-off.h"

#include <stdio.h>

static void say_begun(void) {
        fprintf(stderr, "carryover: cancelling: waiting until the trees are released\n");
}

/* The answer that it waits for then says how it ended. */
void cancel_waiting(const Wait *w) {
        uint64_t since = now_realtime();
        CallOff what = CALL_OFF_NOTHING;
        int r = call_off(w->config, &what);

        if (r >= 0 && what == CALL_OFF_BEGUN) {
                say_begun();
                r = call_off_end(w->config, since);
        } else if (r >= 0)
                wait_say_late(w);
        if (r < 0)
                (void)flow_fail(r);
}

static ExitStatus cancel(const Config *config) {
        uint64_t since = now_realtime();
        CallOff what = CALL_OFF_NOTHING;
        int r = call_off(config, &what);

        if (r >= 0 && what == CALL_OFF_NOTHING) {
                fprintf(stderr,
                        "carryover: nothing to cancel: no carryover reboot and no save is in progress\n");
                return EXIT_NOTHING;
        }
        if (r >= 0 && what == CALL_OFF_LATE) {
                fprintf(stderr, "carryover: " CANCEL_LATE "\n");
                return EXIT_FAILED;
        }
        if (r >= 0) {
                say_begun();
                r = call_off_end(config, since);
        }
        if (r < 0)
                return flow_fail(r);
        printf("Cancelled: the machine is not rebooted, and all kept trees continue to run.\n");
        return EXIT_OK;
}

/* What is wrong in the configuration may be the very reason to cancel. */
ExitStatus flow_cancel(void) {
        Config config;

        log_failed(config_load_anyway("", &config), "using the readable files and defaults");
        return cancel(&config);
}

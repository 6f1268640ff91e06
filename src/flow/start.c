/* SPDX-License-Identifier: GPL-2.0-or-later */

#include "base/cleanup.h"
#include "base/err.h"
#include "base/fault.h"
#include "base/log.h"
#include "criu/criu.h"
#include "files/config.h"
#include "flow/flow.h"
#include "flow/send.h"
#include "model/model.h"
#include "netfilter/hold.h"
#include "store/store.h"
#include "systemd/bus.h"

#include <string.h>
#include <systemd/sd-daemon.h>

static bool restore_runs(void) {
        _cleanup_(bus_closep) Bus *manager = NULL;
        _cleanup_(freep) char *state = NULL;

        return bus_open_manager(&manager) < 0 ||
               bus_unit_property(manager, RESTORE_UNIT, "org.freedesktop.systemd1.Unit", "ActiveState",
                                 &state) < 0 ||
               strcmp(state, "active") == 0 || strcmp(state, "activating") == 0;
}

/* A hold that no ticket and no restore explains is one that a crash of ours left behind. */
static void stale_hold_clear(const Config *config) {
        _cleanup_(ticket_freep) Ticket *sealed = NULL, *claimed = NULL;
        _cleanup_(store_close) Store store = {.fd = -1};
        bool ours = false;

        if (hold_present(NULL) <= 0 || store_open(config, &store) < 0)
                return;
        if (store_ticket(&store, &sealed) != 1)
                return;
        if (store_claimed(&store, &claimed, &ours) == 0 && ours && restore_runs())
                return;
        log_warning("found a hold without a ticket: removing the hold");
        if (hold_guard_end() < 0 || hold_clear() < 0)
                log_warning("cannot remove the stale hold");
}

ExitStatus flow_release(void) {
        int r = hold_guard_end();

        if (r >= 0)
                r = hold_clear();
        if (r < 0)
                log_error("cannot remove the hold: %s", err_text(r));
        return r < 0 ? EXIT_FAILED : EXIT_OK;
}

/* The very last moment: nobody flushes rules any more, and the machine still answers packets until the new
 * kernel runs. What is mounted by now is the root and /run. */
ExitStatus flow_last(void) {
        _cleanup_(early_freep) Early *held = NULL;
        HoldSet set = {0};
        int r;

        r = fault_point("jump:last");
        if (r >= 0 && hold_present(NULL) > 0)
                return EXIT_OK;
        if (r >= 0)
                r = run_hold_read(&held);
        if (r == 0)
                set = hold_set_of_early(held);
        if (r >= 0 && hold_set_is_empty(&set)) /* or nothing is noted */
                return EXIT_OK;
        if (r < 0) {
                log_warning("no hold is installed before the jump, and cannot determine whether one is "
                            "needed: %s",
                            err_text(r));
                return EXIT_FAILED;
        }
        r = hold_set(hold_backend_of(held->hold_backend), &set, NULL);
        log_warning(r < 0 ? "the hold was removed before the jump and cannot be restored: %s"
                          : "the hold was removed before the jump and is restored%s",
                    r < 0 ? err_text(r) : "");
        return r < 0 ? EXIT_FAILED : EXIT_OK;
}

/* Of a save that was stopped, or one whose machine went down: now there is time for it. */
static void report_unsent(const Config *config) {
        _cleanup_(store_close) Store store = {.fd = -1};

        if (store_open(config, &store) >= 0)
                send_ask(config, &store);
}

ExitStatus flow_start(void) {
        Config config;
        int r;

        sd_notify(0, "READY=1");
        /* The running kernel's modules may be gone from disk when they are needed, after an upgrade. */
        r = modules_prepare();
        if (r > 0)
                log_warning("%d kernel modules could not be loaded", r);
        r = config_load("", &config);
        if (r >= 0)
                stale_hold_clear(&config);
        if (r >= 0)
                report_unsent(&config);
        if (r >= 0)
                r = criu_check(config.criu, CRIU_PROBE_USEC);
        if (r < 0)
                log_warning("nothing can be saved on this system: %s", err_text(r));
        return EXIT_OK;
}

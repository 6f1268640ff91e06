/* SPDX-License-Identifier: GPL-2.0-or-later */

#include "base/err.h"
#include "base/log.h"
#include "flow/flow.h"
#include "sys/config.h"
#include "sys/criu.h"
#include "sys/kmod.h"
#include "sys/procfs.h"

#include <systemd/sd-daemon.h>

/* No session may be born with a number that the next early boot takes itself: kernel threads and early
 * services of a large machine stay below this, and the smallest pid_max (32768) above. */
#define FIRST_SESSION_PID 20000

int flow_start(void) {
        Config config;
        int r;

        r = pids_lift(FIRST_SESSION_PID);
        if (r < 0)
                log_warning("sessions may come back in a namespace: %s", err_text(r));
        sd_notify(0, "READY=1");
        /* The running kernel's modules may be gone from disk when they are needed, after an upgrade. */
        r = modules_load(modules_needed);
        if (r > 0)
                log_warning("%d kernel modules could not be loaded", r);
        r = config_load("", &config);
        if (r >= 0)
                r = criu_check(config.criu);
        if (r < 0)
                log_warning("nothing can be saved on this system: %s", err_text(r));
        return 0;
}

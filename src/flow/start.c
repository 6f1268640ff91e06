/* SPDX-License-Identifier: GPL-2.0-or-later */

#include "base/err.h"
#include "base/log.h"
#include "flow/flow.h"
#include "sys/config.h"
#include "sys/criu.h"
#include "sys/kmod.h"

#include <systemd/sd-daemon.h>

int flow_start(void) {
        Config config;
        int r;

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

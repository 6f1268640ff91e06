/* SPDX-License-Identifier: GPL-2.0-or-later */

#include "systemd/stop-order.h"

#include "base/cleanup.h"
#include "base/err.h"
#include "base/fd.h"
#include "base/text.h"
#include "systemd/bus.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <systemd/sd-login.h>

#define DROP_IN "50-carryover.conf"

static const char text[] = "# Written by carryover: something in this unit is kept.\n"
                           "[Unit]\n"
                           "Before=carryover.service\n";

static int drop_in(const char *unit) {
        _cleanup_(freep) char *path = NULL;
        _cleanup_(closep) int fd = -1;
        int r;

        if (!unit_is_safe(unit))
                return err_say(-EINVAL, "unit %.64s has an invalid name", unit);
        path = text_format("/run/systemd/system/%s.d", unit);
        if (!path)
                return -ENOMEM;
        r = fd = open_dirs(path, 0755);
        if (r >= 0)
                r = file_publish(fd, DROP_IN, text, sizeof text - 1);
        return r < 0 ? err_pass(r) : 0;
}

/* Answer 1 if it was not ordered yet. */
static int order(Bus *manager, const char *unit) {
        int r = bus_unit_is_before(manager, unit, "carryover.service");

        if (r == 0)
                r = drop_in(unit);
        else if (r > 0)
                return 0;
        return r < 0 ? err_pass(r) : 1;
}

int stop_order(const uint32_t *pids, size_t n) {
        _cleanup_(bus_closep) Bus *manager = NULL;
        _cleanup_(freep) char *last = NULL;
        int changed = 0, r;

        r = bus_open_manager(&manager);
        for (size_t i = 0; r >= 0 && i < n; i++) {
                _cleanup_(freep) char *unit = NULL;

                r = sd_pid_get_unit((pid_t)pids[i], &unit);
                if (r == -ESRCH || r == -ENODATA) { /* gone, or in no unit, which nobody stops */
                        r = 0;
                        continue;
                }
                if (r < 0)
                        return err_born(r, "cannot find the unit of process %u", pids[i]);
                if (last && strcmp(last, unit) == 0)
                        continue;
                r = order(manager, unit);
                changed += r > 0;
                free(last);
                last = TAKE(unit);
        }
        if (r >= 0 && changed > 0)
                r = bus_reload(manager);
        return r < 0 ? err_pass(r) : changed;
}

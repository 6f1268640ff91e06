/* SPDX-License-Identifier: GPL-2.0-or-later */

#include "systemd/scheduled.h"

#include "base/cleanup.h"
#include "base/err.h"
#include "base/fd.h"
#include "base/text.h"
#include "files/state-file.h"

#include <fcntl.h>
#include <limits.h>
#include <stdio.h>

#define STATE_LIMIT (64u << 10) /* with the message for everybody; about 100 bytes without */

int scheduled_shutdown(const char *root, Scheduled *ret) {
        _cleanup_(freep) char *state = NULL;
        Scheduled found = {0};
        char path[PATH_MAX], number[32];
        int r;

        snprintf(path, sizeof path, "%s/run/systemd/shutdown/scheduled", root);
        r = file_slurp(AT_FDCWD, path, STATE_LIMIT, &state, NULL);
        if (r == -ENOENT)
                return 1;
        if (r < 0)
                return err_pass(r);
        if (!state_value(state, "USEC", number, sizeof number, NULL) ||
            parse_u64(number, INT64_MAX, &found.realtime) < 0 ||
            !state_value(state, "MODE", found.action, sizeof found.action, NULL) ||
            !name_is_safe(found.action))
                return 1;
        *ret = found;
        return 0;
}

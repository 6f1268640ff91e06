/* SPDX-License-Identifier: GPL-2.0-or-later */

#include "base/fault.h"

#if WITH_FAULTS

#include "base/cleanup.h"
#include "base/err.h"
#include "base/fd.h"

#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* `wanted` is "NAME" or "NAME:kill", up to a space or the end. */
static int compare(const char *wanted, const char *name) {
        size_t l = strlen(name), w = strcspn(wanted, " \n");

        if (w < l || strncmp(wanted, name, l) != 0)
                return 0;
        if (w == l)
                return 1;
        return w == l + strlen(":kill") && strncmp(wanted + l, ":kill", w - l) == 0 ? 2 : 0;
}

int fault_point(const char *name) {
        static bool done;
        _cleanup_(freep) char *line = NULL;
        const char *wanted = getenv("CARRYOVER_FAULT");

        if (!wanted && file_slurp(AT_FDCWD, "/proc/cmdline", 4096, &line, NULL) >= 0) {
                wanted = strstr(line, "carryover.fault=");
                if (wanted)
                        wanted += strlen("carryover.fault=");
        }
        err_clear();
        if (!wanted || done)
                return 0;
        switch (compare(wanted, name)) {
        case 1:
                done = true;
                return err_say(-EIO, "stopped at the fault point %s", name);
        case 2:
                kill(getpid(), SIGKILL);
        }
        return 0;
}

#endif

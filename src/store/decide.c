/* SPDX-License-Identifier: GPL-2.0-or-later */

/*
 * Whether a save is sealed or called off is decided by one system call on one file, so that nobody is told
 * what is not so: whoever finds it there and takes it away has decided. A save that is called off keeps the
 * file under its other name, for as long as anybody may ask, which is until the next save or `carryover
 * reboot` begins.
 */

#include "store/run.h"

#include "base/cleanup.h"
#include "base/err.h"
#include "base/fd.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define MAY_SEAL   "may-seal"
#define CALLED_OFF "called-off"

int run_seal_allow(void) {
        _cleanup_(closep) int dir = run_directory();
        int r;

        if (dir < 0)
                return err_pass(dir);
        if (unlinkat(dir, CALLED_OFF, 0) < 0 && errno != ENOENT)
                return err_born(-errno, "cannot remove " RUN_CALLED_OFF);
        r = file_replace(dir, MAY_SEAL, "", 0);
        return r < 0 ? err_pass(r) : 0;
}

/* Asked in this order, there is no moment in between in which it could be called off and not be seen. */
int run_seal_begin(bool requested) {
        if (requested && access(RUN_MAY_SEAL, F_OK) == 0)
                return 0;
        return requested && run_called_off() ? 1 : err_pass(run_seal_allow());
}

int run_seal_take(void) {
        if (unlink(RUN_MAY_SEAL) == 0)
                return 0;
        return errno == ENOENT ? 0 : err_born(-errno, "cannot remove " RUN_MAY_SEAL);
}

int run_call_off(void) {
        if (rename(RUN_MAY_SEAL, RUN_CALLED_OFF) == 0)
                return 0;
        return errno == ENOENT ? 1 : err_born(-errno, "cannot rename " RUN_MAY_SEAL);
}

bool run_called_off(void) {
        return access(RUN_CALLED_OFF, F_OK) == 0;
}

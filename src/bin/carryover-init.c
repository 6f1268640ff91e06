/* SPDX-License-Identifier: GPL-2.0-or-later */

/* PID 1 of a carried tree's namespace; started by the restore only (src/restore/init.h). */

#include "base/exit.h"
#include "restore/init.h"

#include <stdio.h>
#include <unistd.h>

int main(int argc, char **argv) {
        (void)argv;
        if (argc != 1 || isatty(INIT_FD_ANSWER)) {
                fprintf(stderr, "carryover-init must be started by carryover-restore\n");
                return EXIT_USAGE;
        }
        return init_run();
}

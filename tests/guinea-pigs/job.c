/* SPDX-License-Identifier: GPL-2.0-or-later */

/* A job whose shell has exited: neither leader of its session nor of its group, and both leaders are gone.
 * The driver starts it so. */

#include "pig.h"

int main(void) {
        pid_t sid = getsid(0), pgid = getpgrp();

        pig_begin();
        CHECK(sid != getpid() && pgid == sid);

        pig_wait();

        CHECK(getsid(0) == sid && getpgrp() == pgid);
        CHECK(kill(sid, 0) < 0 && errno == ESRCH);
        pig_pass();
}

/* SPDX-License-Identifier: GPL-2.0-or-later */

#include "base/await.h"

#include "base/clock.h"
#include "base/err.h"

#include <poll.h>
#include <stdbool.h>

int await_change(const Await *a) {
        uint64_t deadline = a->deadline_monotonic;

        for (;;) {
                struct pollfd p[2] = {{.fd = a->event_fd, .events = a->events},
                                      {.fd = a->stop_fd, .events = POLLIN}};
                bool is_late;
                int r = a->look(a->userdata, &deadline);

                if (r <= 0)
                        return r;
                is_late = now_monotonic() >= deadline; /* events without a pause do not postpone it */
                r = poll(p, 2, deadline == UINT64_MAX ? -1 : deadline_ms(deadline));
                if (r < 0 && errno != EINTR)
                        return err_born(-errno, "cannot wait for %s", a->what);
                if (r > 0 && p[1].revents)
                        return err_say(-ECANCELED, "the wait for %s was cancelled", a->what);
                if (r == 0 || is_late)
                        return -ETIMEDOUT;
                r = r > 0 && a->drain ? a->drain(a->event_fd) : 0;
                if (r < 0)
                        return err_pass(r);
        }
}

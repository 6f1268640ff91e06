/* SPDX-License-Identifier: GPL-2.0-or-later */

#include "base/clock.h"

#include <limits.h>
#include <time.h>

static uint64_t now(clockid_t id) {
        struct timespec t = {0};

        (void)clock_gettime(id, &t); /* cannot fail for these two clocks */
        return (uint64_t)t.tv_sec * USEC_PER_SEC + (uint64_t)t.tv_nsec / NSEC_PER_USEC;
}

uint64_t now_realtime(void) {
        return now(CLOCK_REALTIME);
}

uint64_t now_monotonic(void) {
        return now(CLOCK_MONOTONIC);
}

int deadline_ms(uint64_t deadline) {
        uint64_t t = now_monotonic(), left;

        if (t >= deadline)
                return 0;
        left = (deadline - t + USEC_PER_MSEC - 1) / USEC_PER_MSEC;
        return left > INT_MAX ? INT_MAX : (int)left;
}

/* SPDX-License-Identifier: GPL-2.0-or-later */

#include "tests/fakes/clock.h"

#include "base/clock.h"
#include "tests/fakes/fake.h"

#include <time.h>

void (*fake_on_sleep)(void);

static uint64_t now(clockid_t clock) {
        struct timespec t;

        (void)clock_gettime(clock, &t);
        return (uint64_t)t.tv_sec * USEC_PER_SEC + (uint64_t)t.tv_nsec / NSEC_PER_USEC + fake->clock_offset;
}

uint64_t now_realtime(void) {
        return now(CLOCK_REALTIME);
}

uint64_t now_monotonic(void) {
        return now(CLOCK_MONOTONIC);
}

int nanosleep(const struct timespec *time, struct timespec *left) {
        (void)left;
        fake->clock_offset +=
                        (uint64_t)time->tv_sec * USEC_PER_SEC + (uint64_t)time->tv_nsec / NSEC_PER_USEC;
        (void)fake_call("nanosleep", "%s", "");
        if (fake_on_sleep)
                fake_on_sleep();
        return 0;
}

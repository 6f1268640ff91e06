/* SPDX-License-Identifier: GPL-2.0-or-later */

/* The three kinds of timers, each with much time left, and one POSIX timer that rings soon after. The time
 * left may only go down, and not by more than a minute, which no test takes. Clocks go on. */

#include "pig.h"

#include <sys/time.h>
#include <sys/timerfd.h>
#include <time.h>

#define LONG  1000
#define SHORT 200000000L /* ns */
#define SLACK 60

static void check_left(const struct timespec *left) {
        CHECK(left->tv_sec < LONG && left->tv_sec >= LONG - SLACK);
}

int main(void) {
        struct itimerspec ring = {.it_value.tv_sec = LONG, .it_interval.tv_sec = 5}, left;
        struct itimerspec soon = {.it_value.tv_nsec = SHORT};
        struct itimerval alarm = {.it_value.tv_sec = LONG, .it_interval.tv_sec = 6}, alarm_left;
        struct sigevent by_rt = {
                        .sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGRTMIN, .sigev_value.sival_int = 42};
        struct sigevent by_none = {.sigev_notify = SIGEV_NONE};
        struct timespec before, after, patience = {.tv_sec = SLACK};
        timer_t far, near;
        siginfo_t info;
        sigset_t rt;
        int fd;

        pig_begin();
        sigemptyset(&rt);
        sigaddset(&rt, SIGRTMIN);
        CHECK(sigprocmask(SIG_BLOCK, &rt, NULL) == 0);
        fd = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
        CHECK(fd >= 0 && timerfd_settime(fd, 0, &ring, NULL) == 0);
        CHECK(timer_create(CLOCK_MONOTONIC, &by_none, &far) == 0);
        CHECK(timer_settime(far, 0, &ring, NULL) == 0);
        CHECK(setitimer(ITIMER_REAL, &alarm, NULL) == 0);
        CHECK(clock_gettime(CLOCK_MONOTONIC, &before) == 0);
        CHECK(timer_create(CLOCK_MONOTONIC, &by_rt, &near) == 0);
        CHECK(timer_settime(near, 0, &soon, NULL) == 0);

        pig_wait();

        CHECK(clock_gettime(CLOCK_MONOTONIC, &after) == 0);
        CHECK(after.tv_sec >= before.tv_sec && after.tv_sec - before.tv_sec < SLACK);
        CHECK(sigtimedwait(&rt, &info, &patience) == SIGRTMIN);
        CHECK(info.si_value.sival_int == 42 && info.si_code == SI_TIMER);
        CHECK(timerfd_gettime(fd, &left) == 0);
        check_left(&left.it_value);
        CHECK(left.it_interval.tv_sec == 5);
        CHECK(timer_gettime(far, &left) == 0);
        check_left(&left.it_value);
        CHECK(left.it_interval.tv_sec == 5);
        CHECK(getitimer(ITIMER_REAL, &alarm_left) == 0);
        CHECK(alarm_left.it_value.tv_sec <= LONG && alarm_left.it_value.tv_sec >= LONG - SLACK);
        CHECK(alarm_left.it_interval.tv_sec == 6);
        pig_pass();
}

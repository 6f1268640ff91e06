/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/* The clocks that a timeline over a kexec needs: realtime goes on over the jump (as well as the RTC does),
 * monotonic is the running kernel's own. Microseconds. */

#include <stdint.h>

#define USEC_PER_SEC  UINT64_C(1000000)
#define USEC_PER_MSEC UINT64_C(1000)
#define NSEC_PER_USEC UINT64_C(1000)

uint64_t now_realtime(void);
uint64_t now_monotonic(void);

/* Milliseconds left until a now_monotonic() deadline, rounded up, for poll(): 0 if it has passed. */
int deadline_ms(uint64_t deadline);

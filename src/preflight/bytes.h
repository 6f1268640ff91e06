/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/* Inside this room: sums of sizes that processes are free to make up. */

#include <stdint.h>

#define MIB (UINT64_C(1) << 20)

static inline uint64_t plus(uint64_t a, uint64_t b) {
        uint64_t sum;

        return __builtin_add_overflow(a, b, &sum) ? UINT64_MAX : sum;
}

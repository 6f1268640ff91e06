/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/* Tells bytes apart; protects nothing. Some of what it answers is in tickets: it must not change. */

#include <stddef.h>
#include <stdint.h>

/* FNV-1a, 64 bits. */
static inline uint64_t hash_bytes(const void *data, size_t n, uint64_t seed) {
        uint64_t hash = UINT64_C(0xcbf29ce484222325) ^ seed;

        for (size_t i = 0; i < n; i++)
                hash = (hash ^ ((const uint8_t *)data)[i]) * UINT64_C(0x100000001b3);
        return hash;
}

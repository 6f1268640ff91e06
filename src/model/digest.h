/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/* Checksums: BLAKE2b-256, plain or keyed. With a key nobody can make the checksum of other bytes who does
 * not know the key, wherever the bytes lie. */

#include <stddef.h>
#include <stdint.h>

#define DIGEST_SIZE 32u
#define DIGEST_KEY  32u

/* Of what is left in fd (from its offset), with the number of bytes read (may be NULL). key: DIGEST_KEY
 * bytes, or NULL. */
int digest_fd(int fd, const uint8_t *key, uint8_t ret[static DIGEST_SIZE], uint64_t *ret_size);
void digest_bytes(const void *data, size_t size, uint8_t ret[static DIGEST_SIZE]);
/* The keyed one of two pieces, one behind the other. */
int digest_pair(const uint8_t key[static DIGEST_KEY], const void *a, size_t a_size, const void *b,
                size_t b_size, uint8_t ret[static DIGEST_SIZE]);

/* For this room: libgcrypt is set up. */
void digest_ready(void);

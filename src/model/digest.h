/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/*
 * Checksums.
 *
 * Of small things: BLAKE2b-256, plain or keyed.
 *
 * Of an image: a salt of 16 random bytes, and the Poly1305 tag (RFC 8439) of its bytes under a key that
 * BLAKE2b-256 makes of the ticket's key and the salt. A tree stands still while that is made, and its peers
 * wait while it is compared: Poly1305 is several times as fast as any hash that libgcrypt has, on metal and
 * under an emulator (docs/SECURITY.md, "Images"). Its keys are for one message each, hence the salt.
 *
 * With a key nobody can make the checksum of other bytes who does not know the key, wherever the bytes lie.
 */

#include <stddef.h>
#include <stdint.h>

#define DIGEST_SIZE 32u
#define DIGEST_KEY  32u

void digest_bytes(const void *data, size_t size, uint8_t ret[static DIGEST_SIZE]);
/* The keyed one of two pieces, one behind the other. */
int digest_pair(const uint8_t key[static DIGEST_KEY], const void *a, size_t a_size, const void *b,
                size_t b_size, uint8_t ret[static DIGEST_SIZE]);

/* Of what is left in fd (from its offset), with the number of bytes read. */
int digest_image(int fd, const uint8_t key[static DIGEST_KEY], uint8_t ret[static DIGEST_SIZE],
                 uint64_t *ret_size);
/* Whether what is left in fd has that checksum: 1 or 0. */
int digest_image_is(int fd, const uint8_t key[static DIGEST_KEY], const uint8_t digest[static DIGEST_SIZE],
                    uint64_t *ret_size);

/* For this room: libgcrypt is set up. */
void digest_ready(void);

/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/*
 * A sealed box: one file, encrypted and authenticated, in the way of STREAM (Hoang, Reyhanitabar, Rogaway,
 * Vizár 2015) as age has it:
 *
 *         8 bytes   magic "CRRYBOX1"
 *         32 bytes  salt, random
 *         chunks    each 64 KiB, the last one shorter or not, each followed by its tag of 16 bytes
 *
 * A chunk is AES-256-GCM under the box's own key, BLAKE2b-256 of salt and name with the key that was given;
 * its nonce is its number, and whether it is the last. So a chunk that was changed, moved, left out or
 * added, a box that was cut short, and one that stands under another name, do not open; and a key may seal
 * any number of boxes.
 *
 * What the box tells without the key is its name and its size. Both functions read and write as streams, of
 * any length.
 */

#include <stdbool.h>
#include <stdint.h>

#define BOX_KEY 32u

/* Both from the offsets of the descriptors. */
int box_seal(const uint8_t key[static BOX_KEY], const char *name, int from, int to);
/* -EBADMSG: it is not what was sealed under this name with this key. What had been written to `to` until
 * then is as it was sealed, and not to be used all the same. */
int box_open(const uint8_t key[static BOX_KEY], const char *name, int from, int to);

/* Whether a file looks like one (its first bytes; the offset stays). */
bool box_is(int fd);

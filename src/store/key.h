/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/*
 * The key that encrypted images are sealed with (model/box.h). It is in the kernel's keyring of root, whose
 * memory is never swapped and belongs to no file: there from the first load of a kernel that is told it, or
 * the first save, until nothing is left in the store that it opens. A boot has one key at a time, so
 * whichever kernel was loaded last knows it. Into the next kernel it goes by the Early message.
 *
 * Root may read it there, as he may read the sessions themselves.
 */

#include "model/box.h"
#include "model/digest.h"

/* Answer 1: there is none. */
int store_key_find(uint8_t ret[static BOX_KEY]);
/* The one that there is, else a new one. */
int store_key_draw(uint8_t ret[static BOX_KEY]);
/* In place of any other. */
int store_key_put(const uint8_t key[static BOX_KEY]);
int store_key_forget(void);

/* By which it is known again, in a file that must not have it. */
int store_key_mark(const uint8_t key[static BOX_KEY], uint8_t ret[static DIGEST_SIZE]);

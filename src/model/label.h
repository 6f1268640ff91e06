/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/* What AppArmor calls a process: "unconfined", or the profiles that it is under, "man//&:ns:other
 * (enforce)". */

#include <stdbool.h>
#include <stddef.h>

/* The next profile of a label, or NULL behind the last one; *length bytes, at *label at first, which goes
 * on. "unconfined" is none. */
const char *label_next(const char **label, size_t *length);

/* Whether a list of profiles as the kernel shows it ("man (enforce)\nman//filter (enforce)\n") has this
 * one. */
bool label_is_loaded(const char *list, const char *name, size_t length);

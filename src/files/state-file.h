/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/* Lines KEY=VALUE, as systemd's programs keep their state in /run/systemd. */

#include <stdbool.h>
#include <stddef.h>

/* The value of the first line of this key, without the quotation marks around it and cut at size - 1; false,
 * and "", if it has none. Escapes in it stay. ret_quoted may be NULL. */
bool state_value(const char *text, const char *key, char *out, size_t size, bool *ret_quoted);

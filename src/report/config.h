/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/* The configuration that is in force, for `carryover config`. */

#include "files/config.h"

#include <stdbool.h>
#include <stdio.h>

/* One line each, which is one for carryover.conf(5) as well: the place stands behind a "#" where there is
 * room. Not for reading back: a value may be longer. */
void report_config(FILE *out, const ConfigLine *lines, size_t n);

/* An array of objects: name, value, file, line; null for both if it is the default. -ENOMEM, -EIO. */
int report_config_json(FILE *out, const ConfigLine *lines, size_t n, bool pretty);

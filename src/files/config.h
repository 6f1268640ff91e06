/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/* Reading the configuration: /usr/lib/carryover/carryover.conf, /etc/carryover/carryover.conf, and
 * carryover.conf.d/ *.conf of /usr/lib, /run and /etc in systemd's order (a later name wins, /etc masks the
 * same name). INI, one section [Carryover]. /usr/local/lib comes after /usr/lib, for what is installed
 * there. */

#include "model/config.h"

#include <stddef.h>

void config_defaults(Config *ret);

/* -EINVAL: file, line, what is wrong and what is allowed. A file that is not root's, or writable by others,
 * is refused (-EPERM). root is "" or a directory for tests. */
int config_load(const char *root, Config *ret);

/*
 * For what must go on, since a hold or a restore depends on it: whatever can be read of the configuration,
 * line by line, and the defaults for the rest. The answer is the first error of config_load(), for a
 * warning, or 0. With ret->partial nobody knows whether the store is where it seems to be.
 */
int config_load_anyway(const char *root, Config *ret);

/* A setting as it is in force, in the words of who set it. */
typedef struct ConfigLine {
        const char *name; /* "Store" */
        char *value;
        char *path;      /* the file that has it, or NULL: it is the default */
        unsigned number; /* of the line */
} ConfigLine;

/* All settings; errors as of config_load(). Free with config_lines_free(). */
int config_lines(const char *root, ConfigLine **ret, size_t *ret_n);
void config_lines_free(ConfigLine *lines, size_t n);

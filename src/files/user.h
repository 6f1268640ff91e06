/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/* The names of users, for people. */

#include <stdint.h>

#define USER_NAME_SIZE 36u /* a name of 32 characters, which is Linux's limit, or a number */

/*
 * The name of a user, or its number where no file of this machine has it. Asks nobody: a directory in the
 * network may be what a user waits for. So it is logind's state file (of whoever has a session or lingers,
 * users of a directory included), else /etc/passwd. `root` is "" or a directory for tests.
 */
void user_name(const char *root, uint32_t uid, char ret[static USER_NAME_SIZE]);

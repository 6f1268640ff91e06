/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/*
 * What the store asks of its file system, as events: "renameat NEW-NAME", "fsync FILE", "unlinkat NAME". The
 * calls are the real ones; a test can have them fail, or be the last thing that its process does, as with
 * any event (fake.h).
 *
 * durable.c also watches that what a commit point has changed is on disk before anything else is done: a
 * file is synced before it gets its name, and its directory before the next question to any other room, and
 * before the end of the program. Each thread answers for its own changes. A program is linked so that these
 * calls come here (tests/unit/meson.build).
 */

#include <stdbool.h>

/* Watches the file system that this path is on, and no other. */
void durable_watch(const char *path);
/* The first thing that was done too early, or NULL. */
const char *durable_violation(void);
/* At the end of a program: what is not on disk yet is a violation. */
void durable_end(void);

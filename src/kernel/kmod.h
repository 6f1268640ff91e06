/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/* Loading modules of the running kernel by libkmod. */

/* Loads each of the NULL-terminated names with dependencies. One that is built in, loaded already, or
 * unknown to this kernel is fine; a load that fails is counted and the rest goes on. Returns the number that
 * failed (0 is best). */
int kmod_load(const char *const *names);

/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/*
 * Instruction sets of the processor. Programs and their C library look for them once, when they begin; where
 * one is missing after a restore, since the machine was moved or its firmware changed, they die of SIGILL at
 * some later time. CRIU's own comparison (--cpu-cap) fails the restore, when nothing else is left of the
 * tree, and does so also for a register area of another size, which a newer kernel may make. So it is not
 * used, and what is lost is named.
 */

/* Words as in the flags (arm64: Features) of /proc/cpuinfo, in its order; only those that unprivileged
 * programs use. Caller frees *ret. */
int cpu_instructions(const char *cpuinfo, char **ret);

/* The words of `before` that are not in `now`, or "". Caller frees *ret. */
int cpu_lost(const char *before, const char *now, char **ret);

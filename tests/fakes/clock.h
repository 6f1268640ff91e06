/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/* A wait takes no time: the clock jumps ahead by as much (FakeMachine.clock_offset). */

/* Called in each nanosleep(): what happens meanwhile. NULL: nothing. */
extern void (*fake_on_sleep)(void);

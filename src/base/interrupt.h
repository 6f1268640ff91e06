/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/* Ctrl-C for a program that has something to put in order first. */

#include <stdbool.h>

/* From here on SIGINT is noted, and cuts a sleep short, instead of ending this process. One that ignores it
 * (a job behind a script) goes on ignoring it. May be called again. */
void interrupt_catch(void);

/* Whether one came since. */
bool interrupt_caught(void);

/* The next one ends this process, as usual. */
void interrupt_release(void);

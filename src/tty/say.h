/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/*
 * A word on somebody else's terminal, as utmp and logind name it: "pts/3", "tty1". Whoever owns the terminal
 * may have stopped it (^S), hung it up or put something else in its place: nothing but a terminal of theirs
 * is written to, and nobody waits for it.
 */

#include <stddef.h>
#include <sys/types.h>

/* Writes to a pseudo terminal. -EACCES if its user wants no messages (mesg(1)), -EINVAL for another name. */
int terminal_tell(const char *tty, const char *text);

typedef struct TerminalLine {
        char tty[32];
        uid_t owner;    /* a terminal that is not theirs is left alone */
        char text[200]; /* with its line ends */
} TerminalLine;

/*
 * Writes to all of them, also to who wants no messages: what wall(1) of root's does. What a terminal does
 * not take at once is left out. A child of ours writes, and is left behind after three seconds, since an
 * open(2) may wait in the kernel. Returns how many were told.
 */
size_t terminals_say(const TerminalLine *lines, size_t n);

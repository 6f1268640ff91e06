/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/* A terminal of ours put in front of another one: what `carryover enter` needs to show a shell that systemd
 * started. */

#include <limits.h>

/* A new pty: the master (non-blocking), the slave (held open, or the master would seem hung up until someone
 * else opens it) and the slave's path. It gets the window size of `like`. */
typedef struct TerminalPair {
        int master, slave;
        char path[64];
} TerminalPair;

int terminal_pair_open(int like, TerminalPair *ret);
void terminal_pair_close(TerminalPair *pair);

/* Asked at the beginning and whenever event_fd is readable: 0 go on, 1 the other side has ended, negative:
 * stop. */
typedef int (*TerminalEvent)(void *userdata);

/*
 * Puts the terminal `in`/`out` (standard input and output) into raw mode and forwards bytes and window sizes
 * until on_event() says that the other side has ended, or the pty is hung up. What the other side has
 * written by then is still shown. -EINTR on SIGTERM or SIGHUP. The terminal's mode and the signal mask are
 * put back in every case.
 */
int terminal_forward(int in, int out, int master, int event_fd, TerminalEvent on_event, void *userdata);

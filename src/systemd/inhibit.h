/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/*
 * Who has asked logind that the system does not go down ("systemd-inhibit --list"), from its state files
 * (/run/systemd/inhibit, root's own). carryover asks PID 1 for a shutdown and not logind, so it looks
 * itself.
 */

#include <stddef.h>
#include <sys/types.h>

/* What the holder says of itself, as one line that steers no terminal. */
typedef struct Inhibitor {
        char who[128], why[256];
        uid_t uid;
        pid_t pid; /* 0: not known */
} Inhibitor;

/*
 * The oldest lock of mode "block" on a shutdown, and how many there are. Answer 1: there is none. A lock of
 * mode "delay" asks for some seconds only, and "block-weak" (systemd 257) does not stop root: neither
 * counts. A lock is held as long as somebody has the other end of its FIFO open; a file without that does
 * not count, and a file that cannot be understood does not either.
 */
int inhibit_shutdown(const char *root, Inhibitor *ret, size_t *ret_n);

/* '"apt" (PID 812, root) inhibits a shutdown: upgrade in progress'. Caller frees; NULL: no memory. */
char *inhibit_text(const Inhibitor *inhibitor, size_t n);

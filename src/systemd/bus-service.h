/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/*
 * A program that systemd starts as a transient service on a terminal of ours: how a process in a PID
 * namespace gets something to run outside it, which no system call offers (setns into an ancestor PID
 * namespace is impossible). Over PID 1's private socket, so root only. systemd drops the unit by itself when
 * the program has ended.
 */

#include <stdint.h>

typedef struct TtyService TtyService;

typedef struct TtyServiceSpec {
        const char *unit; /* "x.service" */
        const char *description;
        const char *slice;              /* or NULL */
        const char *user;               /* a name */
        const char *directory;          /* where it starts; "/" if that does not exist there */
        const char *tty;                /* "/dev/pts/7", its controlling terminal */
        const char *executable;         /* absolute */
        const char *argv0;              /* "-bash" */
        const char *const *environment; /* "TERM=xterm", NULL-terminated */
} TtyServiceSpec;

/* Starts it and waits until it executes. The caller ends it by closing the terminal's master (hangup), or
 * leaves it be. */
int bus_tty_service_start(const TtyServiceSpec *spec, uint64_t deadline_monotonic, TtyService **ret);
TtyService *bus_tty_service_free(TtyService *service);
static inline void tty_service_freep(TtyService **p) {
        (void)bus_tty_service_free(*p);
}

/* Readable when bus_tty_service_process() has something to do. */
int bus_tty_service_fd(TtyService *service);

/* Takes what systemd has told meanwhile. 0: it runs; answer 1: it has ended. */
int bus_tty_service_process(TtyService *service);

/* Waits for the end. *ret: the exit status, 128 + the signal if one killed it. */
int bus_tty_service_wait(TtyService *service, uint64_t deadline_monotonic, int *ret);

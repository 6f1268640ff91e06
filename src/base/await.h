/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/*
 * Waiting for a state of the system that the kernel announces changes of. The caller subscribes first; this
 * looks, and looks again after every event. What an event says does not matter, so lost ones cost one look
 * more at most.
 */

#include <stdint.h>

typedef struct Await {
        /* 0: it is there. 1: not yet, and why is recorded as the sentence of -ETIMEDOUT. Negative: an error.
         * May move the deadline. */
        int (*look)(void *userdata, uint64_t *deadline_monotonic);
        void *userdata;
        int event_fd; /* what announces changes */
        short events; /* by poll(2) */
        /* Takes the events away, before the next look. NULL: poll() shows each once. */
        int (*drain)(int event_fd);
        int stop_fd;                 /* or -1: readable, when the wait shall end */
        uint64_t deadline_monotonic; /* UINT64_MAX: none */
        const char *what;            /* "the network", for sentences */
} Await;

/* 0; -ETIMEDOUT with the sentence of the last look; -ECANCELED: stop_fd. Looks once even if the deadline has
 * passed. */
int await_change(const Await *a);

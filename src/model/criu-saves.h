/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/* What a CRIU saves and restores as it was, by its release: one fact for each change of its history. */

#include <stdbool.h>

typedef struct CriuSaves {
        bool stops;        /* SIGTSTP as what stopped a process (since 3.18) */
        bool rseq;         /* threads inside of a restartable sequence, each of them (since 3.18) */
        bool no_new_privs; /* (since 3.19) */
        bool barriers;     /* what a process has registered for with membarrier(2) (since 3.19) */
        bool offsets;      /* of programs and libraries that are open as files (since 3.19) */
        bool memfds;       /* their mode, and that they can be executed (since 3.19) */
        bool thp;          /* that a process wants no transparent huge pages (since 3.19) */
        bool resets;       /* SCHED_RESET_ON_FORK (since 4.0) */
        bool tcp_options;  /* TCP_NODELAY and TCP_CORK of all sockets (since 4.0) */
        bool as_it_was;    /* memory without pages, which is not mapped writable at first (since 4.0) */
        bool ambient;      /* capabilities (since 4.1) */
        bool pidfds;       /* (since 4.1) */
        bool one_shots;    /* timers without an interval (since 4.1) */
        bool wipes;        /* what madvise(MADV_WIPEONFORK) was told (since 4.2) */
} CriuSaves;

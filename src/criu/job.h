/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/* What is asked of one CRIU. */

#include "model/criu-saves.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/* The largest file without a name that images can have, bytes: the limit is a 32 bit field of CRIU's. */
#define CRIU_GHOST_MAX UINT32_MAX

typedef struct CriuFd {
        const char *key; /* inherit_fd key */
        int fd;          /* stays the caller's */
} CriuFd;

/* A pty master that nobody has used yet. */
typedef struct CriuMaster {
        uint32_t index;
        int fd; /* -1: none any more */
} CriuMaster;

/*
 * What happens inside a running request; called in the caller's thread. Return 0 to go on, negative to make
 * CRIU stop and undo. Scripts of a dump:
 *
 *  - "pre-dump";
 *  - "query-ext-files": the tree is frozen, nothing is saved;
 *  - "post-dump": a no thaws the tree.
 *
 * Scripts of a restore, where `pid` is the root's PID as CRIU's namespace sees it (0 before it is known):
 *
 *  - "pre-restore";
 *  - "post-restore": a no kills what was restored; nothing has run yet;
 *  - "pre-resume": likewise, but its connections are reset;
 *  - "post-resume".
 */
typedef int (*CriuNotify)(const char *script, pid_t pid, void *userdata);

typedef struct CriuJob {
        const char *criu;

        /* A directory. The logs are written there too: "dump.log", "restore.log"; those of earlier tries are
         * "restore.log.1" and so on. */
        int images_fd;

        /* Dump: the root of the tree. */
        pid_t pid;

        /* Dump, if > 0: the carryover-init whose child that is, and the root's number below it. CRIU runs in
         * that namespace, and its images have the numbers of it. */
        pid_t init, own_pid;

        /* The root leads no session. It comes back in the one that it had, if that number is free, else in
         * one of its own. */
        bool shell_job;

        CriuSaves saves; /* what this CRIU saves; what not, the preloaded library has to do (hooks/) */

        /* network_lock: SKIP, else NFTABLES, which a dump leaves out all the same (hooks/criu-lock.c). */
        bool lock_skip;

        /* Restore: all connections come back closed. What listens does not. */
        bool tcp_close;

        uint64_t ghost_limit; /* bytes; 0: CRIU's default */
        uint64_t max_bytes;   /* dump: once the images take more, every write fails; 0: no matter. -EDQUOT */

        const char *const *externals; /* dump: values of --external; NULL-terminated or NULL */
        const CriuFd *fds;            /* restore: inherit_fd */
        size_t n_fds;
        const char *preload; /* CRIU_PRELOAD; without it nothing is done */

        /* Restore: of terminals that the images make anew, so that nobody takes their numbers meanwhile.
         * criu_restore() takes them over and closes them. */
        CriuMaster *masters;
        size_t n_masters;

        /* Deadline of the whole request, not counting the time spent in notify: -ETIMEDOUT, up to 10 s
         * later. A dump is then taken back by CRIU's own means where it still listens. Else CRIU is killed
         * and the tree's sockets are taken out of TCP repair mode. A restore's half-made processes are
         * killed. */
        uint64_t timeout_usec;

        /* If >= 0: the CRIU process writes itself into this cgroup.procs before it executes, so that what it
         * restores lives there (the cgroup mode is always IGNORE). */
        int cgroup_procs_fd;

        CriuNotify notify; /* may be NULL */
        void *userdata;
} CriuJob;

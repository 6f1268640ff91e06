/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/*
 * One running `criu swrk`: started, talked to, ended. Inside this room; the contract for others is in
 * criu.h.
 */

#include "base/cleanup.h"
#include "criu/job.h"

#include "criu-rpc.pb-c.h"

#include <limits.h>
#include <stddef.h>
#include <stdint.h>

typedef struct CriuProcess {
        pid_t pid; /* 0: reaped */
        int pidfd;
        int socket; /* SOCK_SEQPACKET, one message per packet */
} CriuProcess;

#define CRIU_PROCESS_NONE ((CriuProcess){.pidfd = -1, .socket = -1})

#define CRIU_WORDS 3

typedef struct CriuSpawn {
        const char *criu;           /* as in CriuJob */
        const char *const *options; /* before "swrk"; NULL-terminated or NULL */
        const CriuFd *fds;
        size_t n_fds;
        int output_fd;        /* becomes stdout and stderr */
        int cgroup_procs_fd;  /* or -1 */
        bool plain_oom_score; /* 0, and no lower for who may not (docs/CRIU.md, "What a process inherits") */
        bool is_bounded;      /* a write beyond RLIMIT_FSIZE fails, and does not kill it */
        pid_t session;        /* > 0: it leads a session of its own, under this PID if that is free */
        const char *const *environment; /* more of it; NULL-terminated, at most CRIU_WORDS, or NULL */
        int inside;                     /* > 0: pidfd whose PID and mount namespace it runs in */
        int images_fd;                  /* then: it opens the images through its own descriptor */
        mode_t mask; /* umask: CRIU makes images with 0644, and files of a restored tree with theirs */
} CriuSpawn;

/*
 * What is preloaded into CRIU (hooks/README.md), and terminals that exist before CRIU does:
 * the environment for CriuSpawn, in which the terminals' words come last (there may be none). The
 * descriptors must stay open until CRIU is done.
 */
typedef struct CriuTerminals {
        int *fds;
        size_t n_fds;
        int heard_fd; /* eventfd: the hook was asked; -1: no terminals */
        char *words, preload[256];
        const char *environment[3]; /* points into this very struct */
} CriuTerminals;

/* Fails if there is nothing to preload: CRIU would follow links that a tree's user has made. The terminals
 * fail soft: whatever is in the way, CRIU makes them itself and processes but the sessions' leaders come
 * back without a controlling one. Takes what it can use of job->masters, and closes the rest. */
int criu_terminals_open(const CriuJob *job, CriuTerminals *ret);
/* Whether a CRIU with this environment opened files by way of the hook: only such a one gets the terminals
 * that are held, and to any other they are somebody else's. True where none are held. */
bool criu_terminals_are_used(const CriuTerminals *terminals);
/* Leaves what is preloaded in the environment. */
void criu_terminals_close(CriuTerminals *terminals);

/* The program that `name` (as in CriuJob) means. */
int criu_find(const char *name, char path[static PATH_MAX]);

int criu_spawn(const CriuSpawn *how, CriuProcess *ret);

int criu_send(const CriuProcess *process, const RpcRequest *request);

/* The next message. -ETIMEDOUT at the deadline; -ECONNRESET if CRIU hung up, without a sentence: the caller
 * knows more by criu_end(). */
int criu_receive(const CriuProcess *process, uint64_t deadline, RpcResponse **ret);

/* Hangs up and waits for the exit, from the deadline on with SIGKILL, and not for ever: what the kernel does
 * not let die is left behind. *ret_status is a wait status; it may be NULL. Fine if it has ended already. */
void criu_end(CriuProcess *process, uint64_t deadline, int *ret_status);

/* For _cleanup_: SIGKILL at once. */
void criu_process_done(CriuProcess *process);

/* Why a process with this wait status ended before it answered. Caller frees; NULL if out of memory. */
char *criu_status_text(int status);

static inline void rpc_response_freep(RpcResponse **p) {
        if (*p)
                rpc_response__free_unpacked(*p, NULL);
}

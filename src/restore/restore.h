/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/*
 * Bringing trees back, and the only door to this room but init.h. flow decides what is restored and when the
 * hold goes; this room does one tree at a time, in any thread.
 *
 * Never starts a tree a second time (store_tree_begin), never executes anything from an image whose checksum
 * differs from the ticket's, never leaves a process behind when it fails: CRIU kills what it had built, and
 * nothing of it had run.
 */

#include "base/err.h"
#include "criu/criu.h"
#include "files/by-inode.h"
#include "image/image.h"
#include "model/config.h"
#include "model/timeline.h"
#include "store/store.h"
#include "systemd/bus.h"
#include "tty/pty.h"

#include <pthread.h>

/* Trees that are in each other's way take turns: one for all trees of a restore. What is in it is this
 * room's (turn.h). */
typedef struct RestoreTurns {
        pthread_mutex_t lock;
        pthread_cond_t change;
        struct Turn *first; /* of those that have one, or look for one */
} RestoreTurns;

#define RESTORE_TURNS_INIT                                                                                  \
        { .lock = PTHREAD_MUTEX_INITIALIZER, .change = PTHREAD_COND_INITIALIZER, }

/* What one tree is restored with. */
typedef struct RestoreJob {
        const Config *config;
        const Store *store;
        const CriuFeatures *features;
        ImageKeys keys;
        Timeline *timeline;
        PtyReserve *ptys;
        RestoreTurns *turns;
        const ErrRecord *files; /* what restore_files() has answered for the tree */
        int stop_fd;            /* readable: give up waiting */

        /* Asked when everything that can be looked at before has been: waits until CRIU's features are known
         * and the tree's scope is there. 0, or why there will be none. */
        int (*ready)(const Tree *tree, int *ret_procs_fd, void *userdata);
        void *userdata;
} RestoreJob;

/*
 * Puts back the files that no boot brings (STORE_VOLATILE), of every tree that is pending, before any of
 * them runs. To be called when the mounts are there and systemd-tmpfiles has emptied what it empties at
 * boot, and before users' processes are there. ret_answers: one for each tree of the ticket, r is -ENOENT
 * if its files are not complete; the caller hands it to restore_tree(), which gives it as its answer.
 */
int restore_files(const Store *store, const Ticket *ticket, const ImageKeys *keys, Timeline *timeline,
                  ErrRecord *ret_answers);

/*
 * Restores one tree into its scope: checks its images and decrypts them into memory (keys.box), waits for
 * its network and mounts, passes what lies outside, host PIDs first, a fresh PID namespace next. On success
 * tree->outcome says how; its state is left to the caller, since other threads read it. On failure the
 * sentence says which step; the images are left as they are. -ECANCELED: stop_fd, and nothing has begun.
 * -EALREADY: it had begun before, and nobody knows how it ended. -ETIMEDOUT: its network or a mount did not
 * come, or CRIU did not end.
 */
int restore_tree(const RestoreJob *job, Tree *tree);

/* The connections whose peers do not know yet what became of the tree (netlink/nudge.h), as those know them,
 * from the ticket; that of an older version leaves it to the images. Caller frees *ret. */
int restore_peers(const Store *store, const ImageKeys *keys, const Tree *tree, PeerStream **ret,
                  size_t *ret_n);

/* Whether its images are of no use without their key. */
bool restore_is_encrypted(const Store *store, const Tree *tree);

/* A tree that nobody will restore any more: removes what its save, and a restore that died, have left in the
 * directories of its files (image/remap.h). restore_tree() does so itself when it fails. Answer: whether its
 * restore had begun, so that it may have run. */
bool restore_abandon(const Store *store, const ImageKeys *keys, const Tree *tree, Sweep *sweep);

/* Notes with each tree of the ticket which instruction sets this machine lacks, and the saved one had. */
int restore_compare_cpu(Ticket *ticket);

/* What a tree that is pending waits for now, as the sentence of -ETIMEDOUT; 0: for nothing that a boot
 * brings. Looks once. */
int restore_waits_for(const Tree *tree);

/* A tree that is noted to run, and does: true, with its outcome filled. */
bool restore_runs(const Store *store, Tree *tree);

/* A tree that ran again, by its note, and does so no more: the machine went down with it, or it has ended.
 * *ret: as it was noted; the caller frees. */
bool restore_had_run(const Store *store, const Tree *tree, Tree **ret);

/* Whether a process of the tree lives, whatever is noted of it, in the host's PID namespace or in one of its
 * own: 0 with its number, or answer 1. Before it is brought back once more. */
int restore_living(const Tree *tree, pid_t *ret);

/*
 * The units that the trees come back in: one scope for each login session, shared by its trees. A scope
 * lives as long as there is a process in it; a waiting child of ours holds it open until the release.
 */
typedef struct RestoreScopes {
        struct Scope *items;
        size_t n;
} RestoreScopes;

/* A tree's scope is there: the descriptor of its cgroup.procs, which stays the scopes'; or an error with its
 * sentence. `i` is the place of the tree among those that were passed. */
typedef void (*RestoreScopeMade)(size_t i, int procs_fd, void *userdata);

/* Makes the scopes of all trees side by side, and tells for each tree, in this thread, as soon as its own is
 * there. A place without a tree (NULL) is passed over. To be called once. */
void restore_scopes(RestoreScopes *scopes, Bus *manager, Tree *const *trees, size_t n, uint64_t timeout_usec,
                    RestoreScopeMade made, void *userdata);
void restore_scopes_release(RestoreScopes *scopes);

/*
 * Login sessions as logind and utmp know them. logind reads /run/systemd/sessions/ when it starts, as after
 * its own upgrade: session and FIFO go there before it starts; when it already runs it is restarted. Answer
 * 1: a running logind must be restarted. Without a manager (NULL) nobody knows whether it runs. Not thread
 * safe.
 */
int restore_login(Bus *manager, const Tree *tree);

/* Makes the huge pages of 2 MiB that the pending trees want and the boot does not have, at most a quarter of
 * the memory: early, while there are still pieces of that size. -ENOSPC with a sentence: not all; who finds
 * none will not come back. */
int restore_huge_begin(const Ticket *ticket);
/* The pool is as large as it was before, or as somebody else has set it since; who has pages keeps them.
 * Also for a restore that has died. */
int restore_huge_end(void);

/* Before logind starts: new logins leave the numbers of these sessions alone (systemd/login.h). */
int restore_login_reserve(const Ticket *ticket);

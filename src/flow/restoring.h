/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/* A restore in progress, shared by the files that make it. Inside this room. */

#include "model/box.h"
#include "model/config.h"
#include "model/model.h"
#include "netfilter/hold.h"
#include "report/event.h"
#include "restore/restore.h"

#include <pthread.h>

typedef struct Restoring {
        Config config;
        Store store;
        CriuFeatures features;
        Bus *manager;
        Ticket *ticket;
        Timeline timeline;
        ImageKeys keys;
        uint8_t box_key[BOX_KEY]; /* what keys.box points to */
        bool keyless;             /* the images are encrypted, and their key is not here */
        PtyReserve *ptys;
        RestoreTurns turns;
        ErrRecord *files; /* what restore_files() has answered for each tree */
        RestoreScopes scopes;
        HoldBackend hold;
        HoldGuard *guard;
        int stop_fd;
        bool restart_logind;
        struct Worker *workers; /* one for each tree */
        char *criu_error;       /* why there is no CRIU to restore with */
        bool criu_ready;
        pthread_mutex_t lock;
        pthread_cond_t change;
} Restoring;

/* What became of each tree (restore-outcome.c). */

void restoring_say(const Restoring *x, EventKind kind, const Tree *tree, const char *reason);

/* Gives every tree an outcome: what an earlier start has noted, or pending. */
int restoring_outcomes(Restoring *x);
bool restoring_is_pending(const Tree *tree);

/* Noted durably, said, its images put aside or emptied. Called with the lock held, or while there are
 * no threads. */
void restoring_failed(Restoring *x, Tree *tree, Outcome__State state, const char *reason);
void restoring_carried(Restoring *x, Tree *tree);

/*
 * A tree that does not come back: restoring_failed(), its connections leave the hold, and its peers are told
 * when the network is there to tell them by (restore-trees.c). Until then one that has nothing to send would
 * hear nothing, and for ever: what cannot come back may be known long before. Called without the lock.
 */
void restoring_dismiss(Restoring *x, Tree *tree, Outcome__State state, const char *reason,
                       uint64_t deadline_monotonic);

/* Restores all pending trees side by side, and comes back when each has an outcome or was told to wait
 * (restore-trees.c). */
int restoring_trees(Restoring *x);

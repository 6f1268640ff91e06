/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/* A save in progress, shared by the files that make it. Inside this room. */

#include "base/clock.h"
#include "base/exit.h"
#include "inspect/kept.h"
#include "model/box.h"
#include "model/config.h"
#include "model/model.h"
#include "model/snapshot.h"
#include "netfilter/hold.h"
#include "preflight/preflight.h"
#include "report/event.h"
#include "save/save.h"
#include "systemd/bus.h"

#include <pthread.h>

/* A disk that is not done by then is not waited for: the shutdown syncs once more. */
#define SYNC_TIMEOUT (30 * USEC_PER_SEC)

typedef enum Decision { UNDECIDED, GO, STOP } Decision;

typedef struct Saving {
        Config config;
        Store store;
        CriuFeatures features;
        Bus *manager;
        const char *action;
        Request *request; /* NULL: somebody else's shutdown */
        Ticket *ticket;
        size_t n_own; /* of its trees, the first ones: they are saved; the others wait for their restore */
        Ticket *waiting;  /* those others, as they are sealed; NULL: there are none */
        int restore_lock; /* no restore begins */
        Candidates own;   /* what is saved, as it was when it ran for the last time: given to `ticket` */
        Timeline timeline;
        ImageKeys keys;
        uint8_t box_key[BOX_KEY]; /* what keys.box points to */
        HoldBackend hold;
        HoldGuard *guard;

        pthread_mutex_t lock;
        pthread_cond_t change;
        size_t n_ready, n_failed, n_ended; /* the last by themselves, before they were saved */
        Tree **gone;                       /* those: the ticket has them no more */
        size_t n_gone;
        uint64_t deadline; /* monotonic: behind it who is not ready is left, and the others are carried */
        size_t n_late;     /* of those that have failed */
        void *late;        /* what their threads work with, until this process ends */
        Decision decision;
        bool told;              /* people know of it (flow/tell.h) */
        bool has_loaded;        /* a kernel for this jump, itself */
        bool may_be_called_off; /* until then what is noted in /run is of an earlier save (store/run.h) */
        bool called_off;        /* `carryover cancel`, or Ctrl-C in `carryover reboot` */
} Saving;

/* Nothing of it is open yet. For saving_done(), by _cleanup_. */
#define SAVING_INIT                                                                                         \
        {                                                                                                   \
                .store.fd = -1, .restore_lock = -1, .lock = PTHREAD_MUTEX_INITIALIZER,                      \
                .change = PTHREAD_COND_INITIALIZER, .timeline = {.lock = PTHREAD_MUTEX_INITIALIZER},        \
        }

void saving_say(const Saving *s, EventKind kind, const Tree *tree, const char *reason);
bool saving_is_forced(const Saving *s);

void saving_done(Saving *s);

/* Before the seal, or without one: nothing was killed, so nothing is to be undone but the hold and the
 * files. Reports why, takes the shutdown back if it was ours, and returns the exit status. */
ExitStatus saving_stop(Saving *s, int why);

/* What waits for its restore when a save begins (save-waiting.c). */

/* Tells a restore that is under way to end, waits for it, and keeps out any other until
 * saving_allow_restore(). Its failure is that of the save. */
int saving_end_restore(Saving *s);
void saving_allow_restore(Saving *s);
int saving_find_waiting(Saving *s);
/* The ticket has these trees of its own, by names that none has that waits. */
int saving_give(Saving *s, Candidates *trees);
/* From now on the ticket has the waiting ones, too. */
int saving_join(Saving *s);
/* It has its own alone, and lives on: nobody is held but what waits, which is sealed as it was. */
void saving_part(Saving *s);

/* The trees go on living or come back, so the system must go on, if it was `carryover reboot` that asked for
 * its end, or if it was called off. */
void saving_take_back(Saving *s);
bool saving_is_taken_back(const Saving *s);

/* Whether it was called off: -ECANCELED with a sentence. */
int saving_go_on(Saving *s);
/* The same, and from here on it cannot be called off. */
int saving_decided(Saving *s);

/* How the packets of a tree's connections look on the wire, by connection tracking, as they do now. */
int saving_wires(Tree *tree);

/* The hold on what the trees that are still to be saved have now. */
int saving_hold(Saving *s);

/* It is not saved and goes on living, for that reason. */
int saving_leave(Tree *tree, const char *reason);
/* What becomes of it then: a shutdown that is not ours cannot be taken back. */
const char *saving_fate(const Saving *s);

/* What is ours of a save beside settling and CRIU: looking, hashing, the disk (twice SYNC_TIMEOUT at
 * most). */
#define SAVING_MARGIN (90 * USEC_PER_SEC)

/* Freezes and saves all trees side by side, seals, and lets them die; any failure before the seal lets every
 * tree go on. A tree that CRIU cannot save is tried once more, while it runs and there is time. Answer 1:
 * all of them have ended by themselves. */
int saving_trees(Saving *s);

/*
 * Of a save that died, with the trees of s->ticket: what lives leaves the ticket if that is sealed, and is
 * mended (save-aftermath.c). Where the store cannot be written it is ended instead, by its very identity,
 * since the next boot will bring it back. What is left of the save then:
 */
enum {
        AFTERMATH_STOPPED, /* nothing is sealed */
        AFTERMATH_PARTLY,  /* what has died is, the rest lives */
        AFTERMATH_SEALED,  /* all that was, and nothing of it lives */
};
typedef enum Seal { SEAL_NONE, SEAL_READ, SEAL_UNREADABLE } Seal;
int aftermath_settle(Saving *s, Seal seal);

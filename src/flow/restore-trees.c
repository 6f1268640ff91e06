/* SPDX-License-Identifier: GPL-2.0-or-later */

/*
 * All trees side by side, a thread for each, and beside them whatever they wait for: CRIU's first look at
 * the kernel, and the scopes.
 */

#include "flow/restoring.h"

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/err.h"
#include "base/log.h"
#include "flow/tell.h"
#include "model/connections.h"
#include "netlink/network.h"
#include "netlink/nudge.h"
#include "report/report.h"

#include <stdio.h>
#include <string.h>

/* What systemd itself gives a unit to start. Scopes need nothing but PID 1's attention, but on a starved
 * machine more than 30 s passed until they had that. */
#define SCOPE_TIMEOUT (90 * USEC_PER_SEC)

typedef struct Worker {
        Restoring *restoring;
        Tree *tree;
        bool scope_known;
        int procs_fd;      /* of the tree's scope */
        char *scope_error; /* why there is none; NULL with procs_fd -1: no memory to say it */
        pthread_t thread;
        bool started, ended; /* ended: nobody need wait for it any more */
} Worker;

static void hold_shrink(Restoring *x) {
        _cleanup_(hold_set_done) HoldSet left = {0};
        int r = hold_set_of(x->ticket, &left);

        if (r >= 0 && hold_set_is_empty(&left)) {
                x->guard = hold_guard_stop(x->guard);
                r = hold_clear();
        } else if (r >= 0) {
                if (x->guard)
                        r = hold_guard_update(x->guard, &left);
                if (r >= 0)
                        r = hold_set(x->hold, &left, NULL);
        }
        log_failed(r, "cannot reduce the hold");
}

/* Peers first: their silence ends here. */
static void worker_carried(Worker *w) {
        _cleanup_(freep) PeerStream *streams = NULL;
        Restoring *x = w->restoring;
        size_t n = 0;

        log_failed(restore_peers(&x->store, &x->keys, w->tree, &streams, &n),
                   "peers will not be notified about their connections");
        pthread_mutex_lock(&x->lock);
        w->tree->outcome->state = OUTCOME__STATE__CARRIED;
        hold_shrink(x);
        pthread_mutex_unlock(&x->lock);
        nudge_peers(streams, n);
        pthread_mutex_lock(&x->lock);
        restoring_carried(x, w->tree);
        pthread_mutex_unlock(&x->lock);
        tell_carried(&x->config, x->ticket, w->tree);
}

void restoring_dismiss(Restoring *x, Tree *tree, Outcome__State state, const char *reason,
                       uint64_t deadline_monotonic) {
        _cleanup_(freep) PeerStream *streams = NULL;
        size_t n = 0;

        log_failed(restore_peers(&x->store, &x->keys, tree, &streams, &n),
                   "peers will not be notified about their connections");
        pthread_mutex_lock(&x->lock);
        restoring_failed(x, tree, state, reason);
        hold_shrink(x);
        pthread_mutex_unlock(&x->lock);
        if (n == 0)
                return;
        (void)network_wait(tree, deadline_monotonic, x->stop_fd);
        nudge_dismiss(streams, n);
}

static void worker_failed(Worker *w, int why) {
        _cleanup_(freep) char *reason = strdup(err_text(why));
        Restoring *x = w->restoring;
        uint64_t deadline = now_monotonic();

        log_debug("%s: %s", w->tree->name, err_way());
        if (why == -ECANCELED) { /* it stays pending, and held: given_back() */
                (void)run_progress("  %s: not started, waiting for the next start", w->tree->name);
                return;
        }
        if (why != -ETIMEDOUT) /* then it has been waited for */
                deadline += x->config.network_usec;
        restoring_dismiss(x, w->tree, why == -EALREADY ? OUTCOME__STATE__LOST : OUTCOME__STATE__FAILED,
                          reason ?: "out of memory", deadline);
}

/* One that this tree must still wait for, or that was told to wait itself. */
static const Worker *terminals_owner(const Worker *w) {
        const Restoring *x = w->restoring;

        for (size_t i = 0; i < x->ticket->n_trees; i++)
                if (ticket_waits(x->ticket, (size_t)(w - x->workers), i) &&
                    (!x->workers[i].ended || restoring_is_pending(x->ticket->trees[i])))
                        return x->workers + i;
        return NULL;
}

static int on_ready(const Tree *tree, int *ret_procs_fd, void *userdata) {
        Worker *w = userdata;
        Restoring *x = w->restoring;
        const Worker *owner;
        int r = 0;

        (void)tree;
        pthread_mutex_lock(&x->lock);
        while (!x->criu_ready || !w->scope_known || ((owner = terminals_owner(w)) && !owner->ended))
                pthread_cond_wait(&x->change, &x->lock);
        if (owner)
                r = err_say(-ECANCELED, "the tree that owns its terminal must wait");
        else if (x->criu_error || w->procs_fd < 0)
                r = err_say(-EIO, "%s", x->criu_error ?: w->scope_error ?: "out of memory");
        *ret_procs_fd = w->procs_fd;
        pthread_mutex_unlock(&x->lock);
        return r;
}

/* `carryover reboot` shows it, as soon as it runs itself. */
static void show_pending(const Restoring *x, const Worker *workers) {
        char names[256] = "";
        size_t l = 0;

        for (size_t i = 0; i < x->ticket->n_trees && l < sizeof names; i++)
                if (!workers[i].ended)
                        l += (size_t)snprintf(names + l, sizeof names - l, "%s%s", l ? ", " : "",
                                              x->ticket->trees[i]->name);
        log_failed(run_waits_for(names), "carryover reboot does not show what it waits for");
}

static void *worker_run(void *userdata) {
        Worker *w = userdata;
        Restoring *x = w->restoring;
        RestoreJob job = {
                        .config = &x->config,
                        .store = &x->store,
                        .features = &x->features,
                        .timeline = &x->timeline,
                        .keys = x->keys,
                        .ptys = x->ptys,
                        .turns = &x->turns,
                        .files = x->files + (w - x->workers),
                        .stop_fd = x->stop_fd,
                        .ready = on_ready,
                        .userdata = w,
        };
        int r = restore_tree(&job, w->tree);

        if (r >= 0)
                worker_carried(w);
        else
                worker_failed(w, r);
        pthread_mutex_lock(&x->lock);
        w->ended = true;
        show_pending(x, x->workers);
        pthread_cond_broadcast(&x->change);
        pthread_mutex_unlock(&x->lock);
        return NULL;
}

/* CRIU's first run on a kernel tries out what that can do and leaves the answers in /run for the next: one
 * that restores nothing, beside everything else that has to be waited for, and not each of the restores. */
static void *criu_run(void *userdata) {
        Restoring *x = userdata;
        StepClock clock = step_begin();
        char *error = NULL;
        int r = criu_probe(x->config.criu, x->config.criu_usec, &x->features);

        if (r < 0)
                error = strdup(err_text(r));
        else if ((r = criu_check(x->config.criu, CRIU_PROBE_USEC)) < 0)
                log_debug("%s; trying anyway", err_text(r));
        step_end(&x->timeline, "restore.probe", NULL, clock);
        pthread_mutex_lock(&x->lock);
        x->criu_error = error;
        x->criu_ready = true;
        pthread_cond_broadcast(&x->change);
        pthread_mutex_unlock(&x->lock);
        return NULL;
}

static void on_scope(size_t i, int procs_fd, void *userdata) {
        Restoring *x = userdata;
        Worker *w = x->workers + i;

        pthread_mutex_lock(&x->lock);
        if (procs_fd >= 0)
                w->procs_fd = procs_fd;
        else
                w->scope_error = strdup(err_text(procs_fd));
        w->scope_known = true;
        pthread_cond_broadcast(&x->change);
        pthread_mutex_unlock(&x->lock);
}

static void scopes_make(Restoring *x, Tree *const *trees) {
        StepClock clock = step_begin();

        restore_scopes(&x->scopes, x->manager, trees, x->ticket->n_trees, SCOPE_TIMEOUT, on_scope, x);
        step_end(&x->timeline, "restore.scopes", NULL, clock);
}

int restoring_trees(Restoring *x) {
        _cleanup_(freep) Worker *workers = calloc(x->ticket->n_trees ?: 1, sizeof *workers);
        _cleanup_(freep) Tree **started = calloc(x->ticket->n_trees ?: 1, sizeof *started);
        size_t n = x->ticket->n_trees;
        pthread_t criu;
        bool probing;

        if (!workers || !started)
                return -ENOMEM;
        for (size_t i = 0; i < n; i++)
                workers[i] = (Worker){.restoring = x,
                                      .tree = x->ticket->trees[i],
                                      .procs_fd = -1,
                                      .ended = !restoring_is_pending(x->ticket->trees[i])};
        x->workers = workers;
        show_pending(x, workers); /* no thread runs yet */
        probing = pthread_create(&criu, NULL, criu_run, x) == 0;
        for (size_t i = 0; i < n; i++) {
                if (workers[i].ended)
                        continue;
                workers[i].started = pthread_create(&workers[i].thread, NULL, worker_run, workers + i) == 0;
                if (workers[i].started) {
                        started[i] = workers[i].tree;
                        continue;
                }
                pthread_mutex_lock(&x->lock);
                restoring_failed(x, workers[i].tree, OUTCOME__STATE__FAILED,
                                 "cannot start a thread for the restore");
                workers[i].ended = true;
                pthread_mutex_unlock(&x->lock);
        }
        if (!probing)
                (void)criu_run(x);
        scopes_make(x, started);
        if (probing)
                pthread_join(criu, NULL);
        for (size_t i = 0; i < n; i++) {
                if (workers[i].started)
                        pthread_join(workers[i].thread, NULL);
                free(workers[i].scope_error);
        }
        return 0;
}

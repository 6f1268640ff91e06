/* SPDX-License-Identifier: GPL-2.0-or-later */

/*
 * All trees side by side: each thread waits inside CRIU's post-dump until the ticket that names them all is
 * sealed, or until it is clear that there will be none.
 */

#include "flow/saving.h"
#include "inspect/facts.h"

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/err.h"
#include "base/fault.h"
#include "base/fd.h"
#include "base/log.h"
#include "flow/hold-note.h"
#include "image/image.h"
#include "model/connections.h"
#include "model/waiting.h"
#include "netfilter/conntrack.h"
#include "netlink/network.h"
#include "preflight/preflight.h"
#include "proc/procfs.h"
#include "select/select.h"

#include <stdlib.h>
#include <string.h>

typedef struct Worker {
        Saving *saving;
        Tree *tree;
        Tree *before; /* the same, untouched by the thread */
        StoreShare limit;
        pthread_t thread;
        bool started, ready, ended;
        bool gone; /* all of its processes have ended by themselves */
        bool late; /* left behind: from here on nothing of it counts */
} Worker;

void saving_say(const Saving *s, EventKind kind, const Tree *tree, const char *reason) {
        report_event(&(Event){
                        .kind = kind,
                        .ticket = s->ticket->id,
                        .tree = tree ? tree->name : NULL,
                        .reason = reason,
                        .kernel = s->ticket->target_kernel,
        });
}

int saving_wires(Tree *tree) {
        for (size_t i = 0; i < tree->n_wires; i++)
                model_free(tree->wires[i]);
        free(tree->wires);
        tree->wires = NULL;
        tree->n_wires = 0;
        return conntrack_wires(tree->connections, tree->n_connections, &tree->wires, &tree->n_wires);
}

int saving_hold(Saving *s) {
        _cleanup_(hold_set_done) HoldSet all = {0};
        HoldBackend used;
        int r;

        r = hold_set_of(s->ticket, &all);
        if (r >= 0 && s->guard)
                r = hold_guard_update(s->guard, &all);
        if (r >= 0)
                r = hold_set(s->hold, &all, &used);
        if (r >= 0 && used == HOLD_NFTABLES && !s->guard)
                r = hold_guard_start(used, &all, &s->guard);
        if (r < 0)
                return err_pass(r);
        s->hold = used;
        log_failed(hold_note_write(s->ticket, used, &all),
                   "the hold cannot be restored if another program removes it after the save");
        return model_set_string(&s->ticket->hold_backend, hold_backend_text(used));
}

/* Preflight saw processes that ran and could still change, its user willing, into what must not be carried.
 * Now they cannot. */
static int look_again(const Worker *w, const Snapshot *snapshot, const Tree *tree) {
        const Saving *s = w->saving;
        const PreflightFacts facts = facts_of_frozen(&s->config, &s->features, w->limit.bytes);
        _cleanup_(verdict_done) Verdict verdict = {0};
        int r;

        r = preflight_tree(snapshot, tree, &facts, &verdict);
        for (size_t i = 0; r >= 0 && i < verdict.n_notes; i++)
                if (verdict.notes[i].level == VERDICT_REFUSED)
                        r = err_say(-EPERM, "%s", verdict.notes[i].text);
        return r < 0 ? err_pass(r) : 0;
}

static int say_late(void) {
        return err_say(-ETIMEDOUT, "the save of this tree took too long; the others were saved without it");
}

static int look_at(const Worker *w, Snapshot **ret) {
        _cleanup_(snapshot_freep) Snapshot *snapshot = NULL;
        const SnapProcess *process;
        const Saving *s = w->saving;
        pid_t root = (pid_t)w->tree->root_pid;
        SnapLook limits = {.max_processes = s->config.max_processes, .max_files = s->config.max_files};
        int r;

        r = snapshot_frozen(root, &limits, s->own.full, &snapshot);
        if (r < 0)
                return err_pass(r);
        process = snapshot_process(snapshot, root);
        if (!process || process->start != w->tree->root_start)
                return err_say(-ESRCH, "process %d is not the process that was kept", (int)root);
        *ret = TAKE(snapshot);
        return 0;
}

/* All that a try to save it has noted is forgotten. */
static int forget_try(const Worker *w) {
        Tree *fresh = model_copy(w->before), tried = *w->tree;

        if (!fresh)
                return -ENOMEM;
        *w->tree = *fresh;
        *fresh = tried;
        model_free(fresh);
        return 0;
}

/* What lies outside of it, and the hold on its connections. */
static int describe(const Worker *w, const Snapshot *snapshot, bool anew) {
        Saving *s = w->saving;
        int r;

        pthread_mutex_lock(&s->lock);
        r = w->late ? say_late() : anew ? forget_try(w) : 0;
        if (r >= 0)
                r = select_describe(snapshot, w->tree);
        if (r >= 0)
                r = network_forget_foreign(w->tree);
        if (r >= 0)
                r = saving_wires(w->tree);
        if (r >= 0)
                r = saving_hold(s);
        pthread_mutex_unlock(&s->lock);
        return r < 0 ? err_pass(r) : 0;
}

/* Connections come and go until the moment of the freeze; from now on they are what they are. */
static int on_frozen(Tree *tree, Snapshot **ret, void *userdata) {
        _cleanup_(snapshot_freep) Snapshot *snapshot = NULL;
        const Worker *w = userdata;
        int r;

        r = look_at(w, &snapshot);
        if (r >= 0)
                r = look_again(w, snapshot, tree);
        if (r >= 0)
                r = describe(w, snapshot, false);
        if (r < 0)
                return err_pass(r);
        *ret = TAKE(snapshot);
        return 0;
}

static int on_ready(Tree *tree, void *userdata) {
        Worker *w = userdata;
        Saving *s = w->saving;
        Decision decision;

        pthread_mutex_lock(&s->lock);
        if (w->late) {
                pthread_mutex_unlock(&s->lock);
                return say_late();
        }
        saving_say(s, EVENT_TREE_SAVED, tree, NULL);
        w->ready = true;
        s->n_ready++;
        pthread_cond_broadcast(&s->change);
        while (s->decision == UNDECIDED)
                pthread_cond_wait(&s->change, &s->lock);
        decision = s->decision;
        pthread_mutex_unlock(&s->lock);
        return decision == GO ? 0 : err_say(-ECANCELED, "the save was stopped");
}

int saving_leave(Tree *tree, const char *reason) {
        if (!tree->outcome)
                tree->outcome = model_new(Outcome, outcome__init);
        if (!tree->outcome)
                return -ENOMEM;
        tree->outcome->state = OUTCOME__STATE__LEFT;
        return model_set_string(&tree->outcome->reason, reason);
}

/* Nothing of it is left that could be carried or lost. A number that another process has by now is one too
 * many rather than one too few. */
static bool has_ended(const Tree *tree) {
        ErrRecord kept = err_keep();
        uint64_t start = 0;
        int r = process_start_time((pid_t)tree->root_pid, &start);
        bool lives = r >= 0 ? start == tree->root_start : r != -ESRCH;

        for (size_t i = 0; !lives && i < tree->n_pids; i++)
                lives = tree->pids[i] != tree->root_pid &&
                        process_start_time((pid_t)tree->pids[i], &start) != -ESRCH;
        err_put_back(&kept);
        return !lives;
}

/* What its first try has written waits to be overwritten, and counts until then. */
static int discard_try(const Worker *w, SaveJob *job) {
        _cleanup_(closep) int fd = store_tree_open(job->store, w->tree->name);
        uint64_t written;

        if (fd < 0)
                return err_pass(fd);
        written = images_bytes(fd);
        if (written >= job->max_bytes)
                return err_say(-EDQUOT, "there is no space in the store for another try");
        job->max_bytes -= written;
        return store_tree_discard(job->store, w->tree->name);
}

/* While the others stand and wait. What CRIU is told of the outside was described before it froze the tree,
 * and what stood in its way is most often a process or a descriptor that is no more; so the tree is
 * described anew first. */
static int save_once_more(const Worker *w, SaveJob *job) {
        _cleanup_(snapshot_freep) Snapshot *snapshot = NULL;
        int r;

        r = discard_try(w, job);
        if (r >= 0)
                r = look_at(w, &snapshot);
        if (r >= 0)
                r = describe(w, snapshot, true);
        return r < 0 ? err_pass(r) : 0;
}

static int save(const Worker *w, SaveJob *job) {
        int r = save_tree(job, w->tree);
        ErrRecord first;

        if ((r != -EAGAIN && r != -ESTALE) || now_monotonic() >= job->deadline)
                return r < 0 ? err_pass(r) : 0;
        first = err_keep();
        if (save_once_more(w, job) < 0) {
                log_debug("%s is not saved once more: %s", w->tree->name, err_way());
                err_put_back(&first);
                return r;
        }
        log_info("%s is saved once more: %s", w->tree->name, first.text);
        return err_pass(save_tree(job, w->tree));
}

static void *worker_run(void *userdata) {
        Worker *w = userdata;
        Saving *s = w->saving;
        SaveJob job = {
                        .config = &s->config,
                        .store = &s->store,
                        .features = &s->features,
                        .timeline = &s->timeline,
                        .max_bytes = w->limit.bytes,
                        .max_names = w->limit.names,
                        .keys = s->keys,
                        .frozen = on_frozen,
                        .ready = on_ready,
                        .deadline = s->deadline,
                        .userdata = w,
        };
        int r = save(w, &job);
        bool gone = r < 0 && has_ended(w->tree);

        pthread_mutex_lock(&s->lock);
        w->ended = true;
        if (w->late) {
                log_info("%s is left behind: %s", w->tree->name,
                         r < 0 ? err_text(r) : "the others were saved without it");
        } else if (s->decision == UNDECIDED && gone) {
                log_info("%s is no longer kept: it has ended", w->tree->target);
                w->gone = true;
                s->n_ended++;
        } else if (s->decision == UNDECIDED) { /* ready() did not return: it was never asked */
                if (r >= 0)
                        r = err_say(-EPROTO, "CRIU ended before it confirmed the dump");
                (void)saving_leave(w->tree, err_text(r));
                saving_say(s, EVENT_TREE_REFUSED, w->tree, err_text(r));
                log_debug("%s: %s", w->tree->name, err_way());
                s->n_failed++;
        } else if (r < 0 && s->decision == GO) {
                log_warning("%s is saved, but its processes cannot be killed: %s", w->tree->name,
                            err_text(r));
        } else if (r < 0) {
                log_info("%s continues to run: %s", w->tree->name, err_text(r));
        }
        pthread_cond_broadcast(&s->change);
        pthread_mutex_unlock(&s->lock);
        return NULL;
}

static const char *first_reason(const Ticket *ticket) {
        for (size_t i = 0; i < ticket->n_trees; i++)
                if (ticket->trees[i]->outcome && ticket->trees[i]->outcome->reason)
                        return ticket->trees[i]->outcome->reason;
        return "no tree could be saved";
}

bool saving_is_forced(const Saving *s) {
        return s->request->has_force && s->request->force;
}

/* Behind the hold they change no more. Those of what waits may have expired here by now. */
static int tracking_save(Saving *s) {
        _cleanup_(hold_set_done) HoldSet all = {0};
        Ticket own = *s->ticket;
        int r;

        own.n_trees = s->n_own;
        r = hold_set_of(&own, &all);
        if (r >= 0)
                r = conntrack_save(&all, s->ticket);
        if (r >= 0 && s->waiting)
                r = waiting_join_tracking(s->ticket, s->waiting);
        return r < 0 ? err_pass(r) : 0;
}

/* A tree comes back with its files as they were at the freeze, or not at all: CRIU compares their sizes. So
 * what it has written must outlive a crash as its images do. */
static void sync_files(Saving *s) {
        StepClock clock = step_begin();

        log_failed(sync_machine(now_monotonic() + SYNC_TIMEOUT),
                   "if the machine crashes during the shutdown, a session may not be restored");
        step_end(&s->timeline, "save.sync", NULL, clock);
}

/* A CRIU that died meanwhile has let its tree run: what that does from here on would be done twice. */
static int all_stand(const Saving *s) {
        for (size_t i = 0; i < s->n_own; i++) {
                const Tree *tree = s->ticket->trees[i];

                if (!tree->outcome && !process_is_traced((pid_t)tree->root_pid))
                        return err_say(-ECHILD, "%s is no longer frozen: its CRIU died", tree->name);
        }
        return 0;
}

/* Once more behind the seal, which waits for a disk. If it cannot be taken back, they die after all: a
 * moment that is lived twice is better than two lives. */
static int still_stand(const Saving *s) {
        int r = all_stand(s);
        ErrRecord kept;

        if (r >= 0)
                return 0;
        kept = err_keep();
        if (store_unseal(&s->store, s->waiting) < 0) {
                log_warning("cannot undo the seal: %s", err_text(r));
                return 0;
        }
        err_put_back(&kept);
        return r;
}

/* They are no part of this save any more. */
static int drop_gone(Saving *s, const Worker *workers) {
        Ticket *t = s->ticket;

        for (size_t i = s->n_own; i-- > 0;) {
                if (!workers[i].gone)
                        continue;
                if (model_append(s->gone, s->n_gone, t->trees[i]) < 0)
                        return -ENOMEM;
                log_failed(store_tree_discard(&s->store, t->trees[i]->name),
                           "images of a tree that has ended remain in the store");
                t->n_trees--;
                s->n_own--;
                memmove(t->trees + i, t->trees + i + 1, (t->n_trees - i) * sizeof(Tree *));
        }
        if (s->n_gone > 0 && s->n_own > 0)
                log_failed(saving_hold(s), "peers of a tree that has ended get no answer");
        return 0;
}

/* All trees stand frozen, have failed or have ended. Answer 1: there is none left. */
static int decide(Saving *s) {
        bool may_go_on = !s->request || saving_is_forced(s);
        StepClock clock = step_begin();
        int r = saving_go_on(s); /* who is called off looks for no other reason */

        if (r < 0)
                return err_pass(r);
        if (s->n_own == 0)
                return 1;
        if (s->n_ready == 0 || (s->n_failed > 0 && !may_go_on))
                return err_say(-ECANCELED, "%s", first_reason(s->ticket));
        sync_files(s);
        s->ticket->sealed_at = now_realtime();
        r = tracking_save(s);
        if (r >= 0)
                r = fault_point("save:before-seal");
        if (r >= 0)
                r = all_stand(s);
        if (r >= 0)
                r = saving_decided(s);
        if (r >= 0)
                r = store_seal(&s->store, s->ticket, s->waiting);
        if (r >= 0)
                r = still_stand(s);
        if (r < 0)
                return err_pass(r);
        step_end(&s->timeline, "save.seal", NULL, clock);
        saving_say(s, EVENT_SEALED, NULL, NULL);
        return 0;
}

/* The thread may go on for as long as it likes, with a tree that nobody looks at any more: the ticket gets
 * what that was before. Its CRIU lets go of it when it hears our no, or finds that we have ended. */
static void leave_late(Saving *s, Worker *w, Tree **place) {
        if (!w->started || w->ready || w->ended)
                return;
        w->late = true;
        *place = w->before;
        w->before = NULL;
        (void)say_late();
        (void)saving_leave(*place, err_text(-ETIMEDOUT));
        saving_say(s, EVENT_TREE_REFUSED, *place, err_text(-ETIMEDOUT));
        s->n_failed++;
        s->n_late++;
}

static void wait_for_trees(Saving *s, Worker *workers, size_t n) {
        const struct timespec deadline = {.tv_sec = (time_t)(s->deadline / USEC_PER_SEC),
                                          .tv_nsec = (long)(s->deadline % USEC_PER_SEC * NSEC_PER_USEC)};

        while (s->n_ready + s->n_failed + s->n_ended < n) {
                if (pthread_cond_clockwait(&s->change, &s->lock, CLOCK_MONOTONIC, &deadline) != ETIMEDOUT)
                        continue;
                for (size_t i = 0; i < n; i++)
                        leave_late(s, workers + i, s->ticket->trees + i);
                return;
        }
}

static void worker_start(Saving *s, Worker *w) {
        w->before = model_copy(w->tree);
        w->started = w->before && pthread_create(&w->thread, NULL, worker_run, w) == 0;
        if (w->started)
                return;
        pthread_mutex_lock(&s->lock);
        (void)saving_leave(w->tree, "cannot start a thread for the save");
        s->n_failed++;
        pthread_mutex_unlock(&s->lock);
}

/* Who is late keeps what it works with: this process ends soon. */
static void workers_end(Saving *s, Worker *workers, size_t n) {
        for (size_t i = 0; i < n; i++) {
                if (workers[i].started && !workers[i].late)
                        pthread_join(workers[i].thread, NULL);
                model_free(workers[i].before);
        }
        if (s->n_late == 0)
                free(workers);
        else
                s->late = workers;
}

int saving_trees(Saving *s) {
        size_t n = s->n_own;
        Worker *workers = calloc(n ?: 1, sizeof *workers);
        int r;

        if (!workers)
                return -ENOMEM;
        for (size_t i = 0; i < n; i++) {
                const Candidate *c = s->own.items + i;

                workers[i] = (Worker){.saving = s, .tree = c->tree, .limit = c->limit};
                if (!workers[i].tree->outcome) /* refused */
                        worker_start(s, workers + i);
        }
        pthread_mutex_lock(&s->lock);
        wait_for_trees(s, workers, n);
        r = drop_gone(s, workers);
        if (r >= 0)
                r = decide(s);
        s->decision = r == 0 ? GO : STOP;
        pthread_cond_broadcast(&s->change);
        pthread_mutex_unlock(&s->lock);
        workers_end(s, workers, n);
        return r;
}

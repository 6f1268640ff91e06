/* SPDX-License-Identifier: GPL-2.0-or-later */

/*
 * After the jump. The claim comes first and is durable; then every tree is tried once, side by side, each as
 * soon as its own needs are there. A tree's connections leave the hold when the tree is back or has failed
 * (then its peers get a reset with their next packet), so that one slow tree does not silence the others.
 * The report is written last: it ends the claim.
 */

#include "restore/restore.h"

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/err.h"
#include "base/fault.h"
#include "base/fd.h"
#include "base/log.h"
#include "early/early.h"
#include "flow/flow.h"
#include "model/connections.h"
#include "report/event.h"
#include "report/report.h"
#include "sys/config.h"
#include "sys/conntrack.h"
#include "sys/netfilter.h"
#include "sys/netlink.h"
#include "sys/nudge.h"
#include "sys/procfs.h"

#include <signal.h>
#include <string.h>
#include <sys/signalfd.h>
#include <systemd/sd-daemon.h>
#include <unistd.h>

/* What systemd itself gives a unit to start. A scope needs nothing but PID 1's attention, but on a starved
 * machine more than 30 s passed until it had that. */
#define SCOPE_TIMEOUT (90 * USEC_PER_SEC)

typedef struct Restoring {
        Config config;
        Store store;
        CriuFeatures features;
        Bus *manager;
        Ticket *ticket;
        Timeline timeline;
        PtyReserve *ptys;
        Scopes scopes;
        HoldBackend hold;
        HoldGuard *guard;
        int stop_fd;
        bool restart_logind;
        struct Worker *workers; /* one for each tree */
        char *criu_error;       /* why there is no CRIU to restore with */
        bool criu_ready;
        pthread_mutex_t lock, bus_lock, ptys_lock, remaps_lock;
        pthread_cond_t change;
} Restoring;

typedef struct Worker {
        Restoring *restoring;
        Tree *tree;
        bool scope_known;
        int procs_fd;      /* of the tree's scope */
        char *scope_error; /* why there is none; NULL with procs_fd -1: no memory to say it */
        pthread_t thread;
        bool started, ended; /* ended: nobody need wait for it any more */
} Worker;

static void say(const Restoring *x, EventKind kind, const Tree *tree, const char *reason) {
        report_event(&(Event){
                        .kind = kind,
                        .ticket = x->ticket->id,
                        .tree = tree ? tree->name : NULL,
                        .reason = reason,
                        .kernel = x->ticket->new_kernel,
                        .gap_usec = tree && tree->outcome ? tree->outcome->gap : 0,
        });
}

static void restoring_done(Restoring *x) {
        hold_guard_stopp(&x->guard);
        scopes_release(&x->scopes);
        pty_reserve_freep(&x->ptys);
        bus_closep(&x->manager);
        model_free(x->ticket);
        store_close(&x->store);
        free(x->criu_error);
        x->stop_fd = fd_close(x->stop_fd);
}

/* What an earlier start of this restore has noted of a tree that it came to an end with. */
static int outcome_recall(Restoring *x, Tree **tree) {
        Tree *known = NULL;
        int r = (*tree)->outcome ? 1 : store_tree_outcome(&x->store, x->ticket->id, (*tree)->name, &known);

        if (r < 0)
                log_warning("what became of %s cannot be read: %s", (*tree)->name, err_text(r));
        if (r == 0) {
                model_free(*tree);
                *tree = known;
                x->restart_logind = true; /* whether it was is not noted */
        }
        if (!(*tree)->outcome)
                (*tree)->outcome = model_new(Outcome, outcome__init);
        return (*tree)->outcome ? 0 : -ENOMEM;
}

static int outcomes_begin(Restoring *x) {
        int r = 0;

        for (size_t i = 0; r >= 0 && i < x->ticket->n_trees; i++)
                r = outcome_recall(x, x->ticket->trees + i);
        return r;
}

static bool is_pending(const Tree *tree) {
        return tree->outcome && tree->outcome->state == OUTCOME__STATE__PENDING;
}

/* Called with the lock held. */
static void tree_failed(Restoring *x, Tree *tree, Outcome__State state, const char *reason) {
        char *path = NULL;

        tree->outcome->state = state;
        (void)model_set_string(&tree->outcome->reason, reason);
        reason = tree->outcome->reason ?: "no memory"; /* what was passed may be err_text()'s */
        if (store_tree_fail(&x->store, x->ticket->id, tree->name, &path) >= 0)
                tree->outcome->images = path;
        else
                log_warning("%s: its images could not be put aside", tree->name);
        log_failed(store_tree_done(&x->store, x->ticket->id, tree), "a second start would not know it");
        say(x, state == OUTCOME__STATE__LOST ? EVENT_TREE_LOST : EVENT_TREE_FAILED, tree, reason);
        (void)run_progress("  %s: failed: %s", tree->name, reason);
}

/* From the note on, this tree is known to be back, whatever becomes of us. */
static int note_carried(Restoring *x, const Tree *tree) {
        int r = store_tree_done(&x->store, x->ticket->id, tree);

        if (r >= 0)
                r = fault_point("restore:after-outcome");
        if (r >= 0 && !x->config.keep_images)
                r = store_tree_empty(&x->store, tree->name);
        return r;
}

/* Called with the lock held. */
static void tree_carried(Restoring *x, Tree *tree) {
        int r;

        pthread_mutex_lock(&x->bus_lock);
        r = login_put_back(x->manager, tree);
        pthread_mutex_unlock(&x->bus_lock);
        if (r < 0)
                (void)tree_degrade(tree, "login-record", "loginctl will not show it", "%s", err_text(r));
        x->restart_logind |= r > 0;
        log_failed(note_carried(x, tree), "its images stay until the end of the restore");
        say(x, EVENT_TREE_CARRIED, tree, NULL);
        (void)run_progress("  %s: back after %.1f s", tree->name, (double)tree->outcome->gap / 1e6);
}

static void hold_shrink(Restoring *x) {
        _cleanup_(connections_done) Connections left = {0};
        int r = connections_of(x->ticket, &left);

        if (r >= 0 && left.n == 0) {
                x->guard = hold_guard_stop(x->guard);
                r = hold_clear();
        } else if (r >= 0) {
                if (x->guard)
                        r = hold_guard_update(x->guard, left.items, left.n);
                if (r >= 0)
                        r = hold_set(x->hold, left.items, left.n, NULL);
        }
        log_failed(r, "the hold stays wider than it should be");
}

/* Peers first: their silence ends here. */
static void worker_carried(Worker *w) {
        _cleanup_(freep) ImageStream *streams = NULL;
        Restoring *x = w->restoring;
        size_t n = 0;

        log_failed(restore_peers(&x->store, w->tree, &streams, &n),
                   "peers are not told what became of their connections");
        pthread_mutex_lock(&x->lock);
        hold_shrink(x);
        pthread_mutex_unlock(&x->lock);
        nudge_peers(streams, n);
        pthread_mutex_lock(&x->lock);
        tree_carried(x, w->tree);
        pthread_mutex_unlock(&x->lock);
}

static void worker_failed(Worker *w, int why) {
        _cleanup_(freep) char *reason = strdup(err_text(why));
        _cleanup_(freep) ImageStream *streams = NULL;
        Restoring *x = w->restoring;
        size_t n = 0;

        log_debug("%s: %s", w->tree->name, err_way());
        if (why == -ECANCELED) { /* it stays pending, and held: given_back() */
                (void)run_progress("  %s: not begun, it waits for the next start", w->tree->name);
                return;
        }
        log_failed(restore_peers(&x->store, w->tree, &streams, &n),
                   "peers are not told what became of their connections");
        pthread_mutex_lock(&x->lock);
        tree_failed(x, w->tree, why == -EALREADY ? OUTCOME__STATE__LOST : OUTCOME__STATE__FAILED,
                    reason ?: "no memory");
        hold_shrink(x);
        pthread_mutex_unlock(&x->lock);
        nudge_peers(streams, n);
}

/* One that this tree must still wait for, or that was told to wait itself. */
static const Worker *terminals_owner(const Worker *w) {
        const Restoring *x = w->restoring;

        for (size_t i = 0; i < x->ticket->n_trees; i++)
                if (ticket_waits(x->ticket, (size_t)(w - x->workers), i) &&
                    (!x->workers[i].ended || is_pending(x->ticket->trees[i])))
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
                r = err_say(-ECANCELED, "the tree that has its terminal was told to wait");
        else if (x->criu_error || w->procs_fd < 0)
                r = err_say(-EIO, "%s", x->criu_error ?: w->scope_error ?: "no memory");
        *ret_procs_fd = w->procs_fd;
        pthread_mutex_unlock(&x->lock);
        return r;
}

static void *worker_run(void *userdata) {
        Worker *w = userdata;
        Restoring *x = w->restoring;
        RestoreJob job = {
                        .config = &x->config,
                        .store = &x->store,
                        .features = &x->features,
                        .pid_mode = x->config.pid_mode,
                        .timeline = &x->timeline,
                        .ptys = x->ptys,
                        .ptys_lock = &x->ptys_lock,
                        .remaps_lock = &x->remaps_lock,
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
        int r = criu_probe(x->config.criu, &x->features);

        if (r < 0)
                error = strdup(err_text(r));
        else if ((r = criu_check(x->config.criu)) < 0)
                log_debug("%s; trying all the same", err_text(r));
        step_end(&x->timeline, "restore.probe", NULL, clock);
        pthread_mutex_lock(&x->lock);
        x->criu_error = error;
        x->criu_ready = true;
        pthread_cond_broadcast(&x->change);
        pthread_mutex_unlock(&x->lock);
        return NULL;
}

/* One after the other, since they share PID 1. */
static void scopes_make(Restoring *x, Worker *workers) {
        StepClock clock = step_begin();

        for (size_t i = 0; i < x->ticket->n_trees; i++) {
                uint64_t deadline = now_monotonic() + SCOPE_TIMEOUT;
                const Scope *scope;
                int r;

                if (!workers[i].started)
                        continue;
                pthread_mutex_lock(&x->bus_lock);
                r = scopes_get(&x->scopes, x->manager, workers[i].tree, deadline, &scope);
                pthread_mutex_unlock(&x->bus_lock);
                pthread_mutex_lock(&x->lock);
                if (r >= 0)
                        workers[i].procs_fd = scope->procs_fd;
                else
                        workers[i].scope_error = strdup(err_text(r));
                workers[i].scope_known = true;
                pthread_cond_broadcast(&x->change);
                pthread_mutex_unlock(&x->lock);
        }
        step_end(&x->timeline, "restore.scopes", NULL, clock);
}

/* All trees side by side, and beside them whatever they wait for. */
static int restore_all(Restoring *x) {
        _cleanup_(freep) Worker *workers = calloc(x->ticket->n_trees ?: 1, sizeof *workers);
        size_t n = x->ticket->n_trees;
        pthread_t criu;
        bool probing;

        if (!workers)
                return -ENOMEM;
        for (size_t i = 0; i < n; i++)
                workers[i] = (Worker){.restoring = x,
                                      .tree = x->ticket->trees[i],
                                      .procs_fd = -1,
                                      .ended = !is_pending(x->ticket->trees[i])};
        x->workers = workers;
        probing = pthread_create(&criu, NULL, criu_run, x) == 0;
        for (size_t i = 0; i < n; i++) {
                if (workers[i].ended)
                        continue;
                workers[i].started = pthread_create(&workers[i].thread, NULL, worker_run, workers + i) == 0;
                if (workers[i].started)
                        continue;
                pthread_mutex_lock(&x->lock);
                tree_failed(x, workers[i].tree, OUTCOME__STATE__FAILED,
                            "cannot start a thread for its restore");
                workers[i].ended = true;
                pthread_mutex_unlock(&x->lock);
        }
        if (!probing)
                (void)criu_run(x);
        scopes_make(x, workers);
        if (probing)
                pthread_join(criu, NULL);
        for (size_t i = 0; i < n; i++) {
                if (workers[i].started)
                        pthread_join(workers[i].thread, NULL);
                free(workers[i].scope_error);
        }
        return 0;
}

/* The claimed ticket (carryover-early.service claimed it, or an earlier start of ours, or a boot that died
 * in the middle of its restore), or a sealed one of this very kernel, when the jump did not happen. What has
 * begun is not begun again, whoever claimed it. Answer 1: there is nothing to restore. */
static int ticket_take(Restoring *x) {
        bool ours;
        int r;

        r = store_claimed(&x->store, &x->ticket, &ours);
        if (r == 0 && !ours)
                r = store_take_over(x->ticket);
        if (r == 1) {
                r = store_ticket(&x->store, &x->ticket);
                if (r == 0)
                        r = store_claim(&x->store, x->ticket);
        }
        return r < 0 ? err_pass(r) : r;
}

/* The initramfs has put it on if there was a kexec; an ordinary boot comes without. From now on firewall
 * services start and flush. */
static int hold_again(Restoring *x) {
        _cleanup_(connections_done) Connections all = {0};
        HoldBackend wanted;
        int r;

        if (hold_backend_parse(x->ticket->hold_backend, &wanted) < 0)
                wanted = HOLD_AUTO;
        r = connections_of(x->ticket, &all);
        if (r >= 0 && all.n > 0 && hold_present(NULL) <= 0)
                say(x, EVENT_HOLD_MISSING, NULL, NULL);
        if (r >= 0)
                r = hold_set(wanted, all.items, all.n, &x->hold);
        if (r == -EOPNOTSUPP) /* the new kernel may lack what the old one had */
                r = hold_set(HOLD_AUTO, all.items, all.n, &x->hold);
        if (r >= 0 && x->hold == HOLD_NFTABLES)
                r = hold_guard_start(x->hold, all.items, all.n, &x->guard);
        return r < 0 ? err_pass(r) : 0;
}

/* A number beyond what can be had is that tree's trouble (it gets another), not everybody's. */
static int terminals_reserve(Restoring *x) {
        _cleanup_(freep) uint32_t *wanted = NULL;
        size_t n = 0;

        for (size_t i = 0; i < x->ticket->n_trees; i++)
                for (size_t j = 0; is_pending(x->ticket->trees[i]) && j < x->ticket->trees[i]->n_ptys; j++)
                        if (x->ticket->trees[i]->ptys[j] <= PTY_INDEX_MAX &&
                            model_append(wanted, n, x->ticket->trees[i]->ptys[j]) < 0)
                                return -ENOMEM;
        return pty_reserve(wanted, n, &x->ptys);
}

static int prepare(Restoring *x) {
        char boot[37], kernel[128];
        int r;

        x->timeline.ticket = x->ticket;
        r = outcomes_begin(x);
        if (r >= 0)
                r = system_boot_id(boot);
        if (r >= 0)
                r = system_kernel(kernel);
        if (r >= 0)
                r = model_set_string(&x->ticket->new_boot, boot);
        if (r >= 0)
                r = model_set_string(&x->ticket->new_kernel, kernel);
        if (r < 0)
                return err_pass(r);
        if (!x->ticket->stopped && strcmp(x->ticket->old_boot, boot) == 0 &&
            model_set_string(&x->ticket->stopped, "the shutdown was called off") < 0)
                return -ENOMEM;
        x->ticket->has_claimed_at = true;
        x->ticket->claimed_at = now_realtime();
        timeline_note_jump(&x->timeline);
        log_failed(hold_again(x), "peers may see a reset");
        log_failed(restore_compare_cpu(x->ticket), "a change of the processor is not seen");
        /* Files come before users' processes; logind and ssh wait for us, and systemd shall for a gigabyte,
         * too. */
        sd_notify(0, "EXTEND_TIMEOUT_USEC=600000000");
        restore_files(&x->store, x->ticket, &x->timeline);
        return terminals_reserve(x);
}

static int restore_claimed(Restoring *x) {
        StepClock clock = step_begin();
        int r;

        r = prepare(x);
        sd_notify(0, "READY=1");
        if (r < 0)
                return err_pass(r);
        r = bus_open_manager(&x->manager);
        if (r >= 0)
                r = fault_point("restore:after-claim");
        if (r < 0)
                return err_pass(r);
        if (conntrack_restore(x->ticket) < 0)
                log_warning("connection tracking entries could not be put back, translated connections may "
                            "break");
        step_end(&x->timeline, "restore.prepare", NULL, clock);
        return restore_all(x);
}

/* Whatever kept us from trying: the trees are failed with that reason, and their peers must not wait for
 * ever. */
static void give_up(Restoring *x, int why) {
        _cleanup_(freep) char *reason = strdup(err_text(why));

        log_error("nothing could be restored: %s", reason ?: "no memory");
        for (size_t i = 0; i < x->ticket->n_trees; i++)
                if (is_pending(x->ticket->trees[i])) {
                        restore_abandon(&x->store, x->ticket->trees[i]);
                        tree_failed(x, x->ticket->trees[i], OUTCOME__STATE__FAILED, reason ?: "no memory");
                }
}

/* What had not begun when we were told to stop (another reboot, while the network does not come) is sealed
 * again, and stays held: the next start restores it. */
static bool given_back(Restoring *x) {
        _cleanup_(freep) Tree **pending = calloc(x->ticket->n_trees ?: 1, sizeof *pending);
        Ticket rest = *x->ticket;
        int r;

        if (!pending)
                return false;
        rest.trees = pending;
        rest.n_trees = 0;
        for (size_t i = 0; i < x->ticket->n_trees; i++)
                if (is_pending(x->ticket->trees[i]))
                        pending[rest.n_trees++] = x->ticket->trees[i];
        if (rest.n_trees == 0)
                return false;
        rest.new_boot = rest.new_kernel = NULL;
        rest.has_claimed_at = false;
        r = store_give_back(&x->store, &rest);
        if (r < 0)
                give_up(x, r);
        return r >= 0;
}

/* Behind the report: until then, the notes in there are all that is known. */
static void images_remove(Restoring *x) {
        for (size_t i = 0; i < x->ticket->n_trees; i++) {
                const Tree *tree = x->ticket->trees[i];

                if (tree->outcome && tree->outcome->state == OUTCOME__STATE__CARRIED)
                        log_failed(store_tree_remove(&x->store, tree->name), "its images stay in the store");
        }
}

/* Back in the next kernel, or in the one that it had been about to leave. */
static bool is_well(const Ticket *ticket) {
        ReportVerdict verdict = report_verdict(ticket);

        return verdict == REPORT_CARRIED || verdict == REPORT_STOPPED;
}

static void finish(Restoring *x) {
        bool again = given_back(x);
        int r;

        x->guard = hold_guard_stop(x->guard);
        if (!again)
                log_failed(hold_clear(), "the hold stays");
        log_failed(network_mtu_sweep(), "a route of ours stays");
        scopes_release(&x->scopes);
        if (x->restart_logind && x->manager)
                log_failed(bus_try_restart_unit(x->manager, "systemd-logind.service"),
                           "loginctl does not know the carried sessions");
        x->ticket->has_done_at = true;
        x->ticket->done_at = now_realtime();
        r = store_report_write(&x->store, x->ticket);
        log_failed(r, "the next start will not know how this restore ended");
        if (r >= 0 && !x->config.keep_images)
                images_remove(x);
        log_failed(run_request_remove(), "an old request stays"); /* of this boot, if there was no jump */
        if (is_well(x->ticket))
                say(x, EVENT_ALL_CARRIED, NULL, NULL);
}

static int stop_signal_fd(void) {
        sigset_t set;

        sigemptyset(&set);
        sigaddset(&set, SIGTERM);
        if (sigprocmask(SIG_BLOCK, &set, NULL) < 0)
                return -errno;
        return signalfd(-1, &set, SFD_CLOEXEC);
}

/* No ticket: a hold that stands now is one that a crash of ours left behind. */
static int nothing_to_restore(void) {
        sd_notify(0, "READY=1");
        if (hold_present(NULL) > 0) {
                log_warning("a hold without a ticket was left behind; taking it off");
                log_failed(hold_clear(), "the stale hold stays");
        }
        return 0;
}

int flow_restore(void) {
        _cleanup_(restoring_done) Restoring x = {
                        .store.fd = -1,
                        .stop_fd = -1,
                        .lock = PTHREAD_MUTEX_INITIALIZER,
                        .bus_lock = PTHREAD_MUTEX_INITIALIZER,
                        .ptys_lock = PTHREAD_MUTEX_INITIALIZER,
                        .remaps_lock = PTHREAD_MUTEX_INITIALIZER,
                        .change = PTHREAD_COND_INITIALIZER,
                        .timeline = {.lock = PTHREAD_MUTEX_INITIALIZER, .after_jump = true},
        };
        int r;

        if (early_off()) { /* said by carryover-early.service; the ticket stays sealed */
                sd_notify(0, "READY=1");
                return 0;
        }
        r = config_load("", &x.config);
        if (r >= 0)
                r = store_open(&x.config, &x.store);
        if (r >= 0)
                r = ticket_take(&x);
        if (r > 0)
                return nothing_to_restore();
        if (r < 0) {
                log_error("cannot restore: %s", err_text(r));
                (void)nothing_to_restore();
                return 1;
        }
        x.stop_fd = stop_signal_fd();
        say(&x, EVENT_CLAIMED, NULL, NULL);
        r = restore_claimed(&x);
        if (r < 0)
                give_up(&x, r);
        finish(&x);
        return is_well(x.ticket) ? 0 : 1;
}

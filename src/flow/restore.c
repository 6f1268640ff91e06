/* SPDX-License-Identifier: GPL-2.0-or-later */

/*
 * After the jump. The claim comes first and is durable; then every tree is tried once, side by side, each as
 * soon as its own needs are there. A tree's connections leave the hold when the tree is back or has failed
 * (then its peers get a reset with their next packet), so that one slow tree does not silence the others.
 * The report is written last: it ends the claim.
 */

#include "flow/restoring.h"

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/err.h"
#include "base/fault.h"
#include "base/fd.h"
#include "base/log.h"
#include "early/early.h"
#include "files/config.h"
#include "files/memory.h"
#include "flow/aftermath.h"
#include "flow/flow.h"
#include "flow/hold-note.h"
#include "flow/send.h"
#include "image/remap.h"
#include "kernel/ids.h"
#include "model/connections.h"
#include "netfilter/conntrack.h"
#include "netlink/network.h"
#include "report/report.h"
#include "store/history.h"
#include "store/key.h"
#include "store/sweep.h"

#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <systemd/sd-daemon.h>

#define HUGE_LEFT "the pool of huge pages stays larger than it was"

static void restoring_done(Restoring *x) {
        hold_guard_stopp(&x->guard);
        restore_scopes_release(&x->scopes);
        pty_reserve_freep(&x->ptys);
        bus_closep(&x->manager);
        model_free(x->ticket);
        store_close(&x->store);
        explicit_bzero(x->box_key, sizeof x->box_key);
        free(x->criu_error);
        free(x->files);
        x->stop_fd = fd_close(x->stop_fd);
}

/* An earlier start died between giving a part of it back and its report: the claim has all of it. */
static int ticket_unseal(const Restoring *x) {
        _cleanup_(ticket_freep) Ticket *sealed = NULL;
        int r = store_ticket(&x->store, &sealed);

        if (r == 0 && strcmp(sealed->id, x->ticket->id) == 0)
                r = store_unseal(&x->store, NULL);
        return r < 0 && r != -EBADMSG ? err_pass(r) : 0;
}

/* The claimed ticket (carryover-early.service claimed it, or an earlier start of ours, or a boot that died
 * in the middle of its restore), or a sealed one of this very kernel, when the jump did not happen. What has
 * begun is not begun again, whoever claimed it. Answer 1: there is nothing to restore. */
static int ticket_take(Restoring *x) {
        bool ours;
        int r;

        r = store_claimed(&x->store, &x->ticket, &ours);
        if (r == 0)
                r = ticket_unseal(x);
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
        _cleanup_(hold_set_done) HoldSet all = {0};
        int r;

        r = hold_set_of(x->ticket, &all);
        if (r >= 0 && !hold_set_is_empty(&all) && !x->ticket->retry && hold_present(NULL) <= 0)
                restoring_say(x, EVENT_HOLD_MISSING, NULL, NULL);
        if (r >= 0)
                r = hold_set(hold_backend_of(x->ticket->hold_backend), &all, &x->hold);
        if (r == -EOPNOTSUPP) /* the new kernel may lack what the old one had */
                r = hold_set(HOLD_AUTO, &all, &x->hold);
        if (r >= 0 && x->hold == HOLD_NFTABLES)
                r = hold_guard_start(x->hold, &all, &x->guard);
        if (r >= 0)
                r = hold_guard_end();
        return r < 0 ? err_pass(r) : 0;
}

/* A number beyond what can be had is that tree's trouble (it gets another), not everybody's. */
static int terminals_reserve(Restoring *x) {
        _cleanup_(freep) uint32_t *wanted = NULL;
        size_t n = 0;

        for (size_t i = 0; i < x->ticket->n_trees; i++)
                for (size_t j = 0;
                     restoring_is_pending(x->ticket->trees[i]) && j < x->ticket->trees[i]->n_ptys; j++)
                        if (x->ticket->trees[i]->ptys[j] <= PTY_INDEX_MAX &&
                            model_append(wanted, n, x->ticket->trees[i]->ptys[j]) < 0)
                                return -ENOMEM;
        return pty_reserve(wanted, n, &x->ptys);
}

/* A tree that nothing is tried with any more; lost, if that was begun before. */
static Outcome__State abandoned(const Restoring *x, const Tree *tree, Sweep *sweep) {
        return restore_abandon(&x->store, &x->keys, tree, sweep) ? OUTCOME__STATE__LOST
                                                                 : OUTCOME__STATE__FAILED;
}

/* All that is left to do for trees whose key is lost is to say so, and to remove what nobody can open. */
static void key_is_lost(Restoring *x) {
        Sweep sweep = by_inode_sweep_begin();

        x->keyless = true;
        for (size_t i = 0; i < x->ticket->n_trees; i++) {
                Tree *tree = x->ticket->trees[i];

                if (!restoring_is_pending(tree) || !restore_is_encrypted(&x->store, tree))
                        continue;
                remaps_sweep_lost(tree, &sweep);
                restoring_failed(x, tree, abandoned(x, tree, &sweep),
                                 "the key of the encrypted images was not passed on to this boot; the "
                                 "images were removed");
        }
        log_failed(by_inode_sweep_end(&sweep), LEFT_BESIDE);
}

static int keys_find(Restoring *x) {
        int r;

        x->keys.digest = x->ticket->has_image_key ? x->ticket->image_key.data : NULL;
        if (!x->ticket->encrypted)
                return 0;
        log_failed(memory_lock(), "contents of the images may be swapped to disk");
        r = store_key_find(x->box_key);
        if (r < 0)
                return err_pass(r);
        if (r == 0)
                x->keys.box = x->box_key;
        else
                key_is_lost(x);
        return 0;
}

/* In the same boot: whether user space was restarted since the save. Where PID 1 does not say, it was: that
 * was begun, and a restore is under way. */
static bool is_soft_rebooted(const Ticket *ticket) {
        _cleanup_(bus_closep) Bus *manager = NULL;
        uint32_t n = 0;
        int r;

        if (strcmp(ticket->action, "soft-reboot") != 0)
                return false;
        if (!ticket->has_soft_reboots)
                return true;
        r = bus_open_manager(&manager);
        if (r >= 0)
                r = bus_soft_reboots(manager, &n);
        log_failed(r, "the report may take a cancelled soft-reboot for one that took place");
        return r != 0 || n != ticket->soft_reboots;
}

/* Why there was no jump, where that is known only now. */
static int note_stopped(Ticket *ticket) {
        if (ticket->retry || ticket->stopped || strcmp(ticket->old_boot, ticket->new_boot) != 0 ||
            is_soft_rebooted(ticket))
                return 0;
        return model_set_string(&ticket->stopped, "the shutdown was cancelled");
}

/* What earlier starts of this restore have noted, and where it takes place. */
static int resume(Restoring *x) {
        char boot[37], kernel[128];
        int r;

        x->timeline.ticket = x->ticket;
        aftermath_of_ticket(&x->store, x->ticket);
        r = restoring_outcomes(x);
        if (r >= 0)
                r = system_boot_id(boot);
        if (r >= 0)
                r = system_kernel(kernel);
        if (r >= 0)
                r = model_set_string(&x->ticket->new_boot, boot);
        if (r >= 0)
                r = model_set_string(&x->ticket->new_kernel, kernel);
        if (r >= 0)
                r = note_stopped(x->ticket);
        if (r < 0)
                return err_pass(r);
        x->ticket->has_claimed_at = true;
        x->ticket->claimed_at = now_realtime();
        if (!x->ticket->retry)
                timeline_note_jump(&x->timeline);
        return keys_find(x);
}

static int prepare(Restoring *x) {
        int r = resume(x);

        if (r < 0)
                return err_pass(r);
        log_failed(hold_again(x), "peers may get a reset");
        log_failed(restore_login_reserve(x->ticket), "a login during the restore may get no session");
        log_failed(restore_compare_cpu(x->ticket), "a change of the processor cannot be detected");
        /* Files come before users' processes; logind and ssh wait for us, and systemd shall for a gigabyte,
         * too. */
        sd_notify(0, "EXTEND_TIMEOUT_USEC=600000000");
        log_failed(restore_huge_begin(x->ticket), "trees with huge pages may fail");
        x->files = calloc(x->ticket->n_trees ?: 1, sizeof *x->files);
        r = x->files ? restore_files(&x->store, x->ticket, &x->keys, &x->timeline, x->files) : -ENOMEM;
        return r < 0 ? err_pass(r) : terminals_reserve(x);
}

/* In the old kernel the addresses are there, but services start again around us, and one that configures the
 * network may take them away for a moment: "Can't bind inet socket back: Cannot assign requested
 * address". */
static void settle(Restoring *x) {
        StepClock clock = step_begin();
        int r = bus_wait_settled(x->manager, RESTORE_UNIT, now_monotonic() + x->config.settle_usec, NULL);

        if (r < 0)
                log_warning("%s; restoring anyway", err_text(r));
        step_end(&x->timeline, "restore.settle", NULL, clock);
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
        if (strcmp(x->ticket->old_boot, x->ticket->new_boot) == 0)
                settle(x);
        if (conntrack_restore(x->ticket) < 0)
                log_warning("cannot restore connection tracking entries; translated (NAT) connections may "
                            "break");
        step_end(&x->timeline, "restore.prepare", NULL, clock);
        return restoring_trees(x);
}

/* Whatever kept us from trying: the trees are failed with that reason, and their peers must not wait for
 * ever. */
static void give_up(Restoring *x, int why) {
        _cleanup_(freep) char *reason = strdup(err_text(why));
        uint64_t deadline = now_monotonic() + x->config.network_usec;
        Sweep sweep = by_inode_sweep_begin();

        log_error("nothing was restored: %s", reason ?: "out of memory");
        for (size_t i = 0; i < x->ticket->n_trees; i++)
                if (restoring_is_pending(x->ticket->trees[i]))
                        restoring_dismiss(x, x->ticket->trees[i], abandoned(x, x->ticket->trees[i], &sweep),
                                          reason ?: "out of memory", deadline);
        log_failed(by_inode_sweep_end(&sweep), LEFT_BESIDE);
}

/* systemd does not start us any more. Whoever was restored before the last crash is known to logind now. */
static int forsaken(Restoring *x) {
        int r = resume(x);

        log_failed(bus_open_manager(&x->manager), "continuing without systemd");
        for (size_t i = 0; r >= 0 && i < x->ticket->n_trees; i++)
                if (restoring_is_pending(x->ticket->trees[i]) &&
                    restore_runs(&x->store, x->ticket->trees[i]))
                        restoring_carried(x, x->ticket->trees[i]);
        return r < 0 ? err_pass(r)
                     : err_say(-ECHILD,
                               "the restore crashed on every start: see journalctl -b -u " RESTORE_UNIT);
}

/* Firewall services stop too. */
static int guard_leave(Restoring *x, const Ticket *rest) {
        _cleanup_(hold_set_done) HoldSet all = {0};
        int r = hold_set_of(rest, &all);

        if (r >= 0)
                r = hold_note_write(rest, x->hold, &all);
        return r < 0 ? err_pass(r) : hold_guard_leave(x->guard, x->hold, &all);
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
                if (restoring_is_pending(x->ticket->trees[i]))
                        pending[rest.n_trees++] = x->ticket->trees[i];
        if (rest.n_trees == 0)
                return false;
        rest.new_boot = rest.new_kernel = NULL;
        rest.has_claimed_at = false;
        r = store_give_back(&x->store, &rest);
        if (r < 0)
                give_up(x, r);
        else
                log_failed(guard_leave(x, &rest),
                           "a firewall service that flushes the rules may remove the hold");
        return r >= 0;
}

/* Behind the report: until then, the notes in there are all that is known. */
static void images_remove(Restoring *x) {
        for (size_t i = 0; i < x->ticket->n_trees; i++) {
                const Tree *tree = x->ticket->trees[i];

                if (tree->outcome && tree->outcome->state == OUTCOME__STATE__CARRIED)
                        log_failed(store_tree_remove(&x->store, tree->name),
                                   "images of a restored tree remain in the store");
                if (tree->outcome && tree->outcome->state == OUTCOME__STATE__LEFT) /* a save that died */
                        log_failed(store_tree_discard(&x->store, tree->name),
                                   "images of a failed save remain in the store");
        }
}

/* Back in the next kernel, or in the one that they had been about to leave. That others have ended is no
 * failure of the restore's. */
static bool is_well(const Ticket *ticket) {
        return report_trees_ok(ticket) || report_verdict(ticket) == REPORT_STOPPED;
}

/* By what has failed and may be tried again, or has not begun. */
static bool key_is_needed(const Restoring *x, bool again) {
        bool needed = again;

        for (size_t i = 0; i < x->ticket->n_trees; i++)
                needed |= x->ticket->trees[i]->outcome && x->ticket->trees[i]->outcome->images;
        return needed;
}

/* Of this boot, if there was no jump; but the one of a shutdown that we end for is the save's. */
static void request_end(const Restoring *x) {
        const char *action = NULL;

        if (!x->manager || bus_shutdown_action(x->manager, &action) < 0 || !action)
                log_failed(run_request_remove(), "cannot remove the old request");
}

static void finish(Restoring *x) {
        bool again = given_back(x);
        int r;

        x->guard = hold_guard_stop(x->guard);
        if (!again) {
                log_failed(hold_guard_end(),
                           "cannot stop the guard of the hold"); /* where hold_again() failed */
                log_failed(hold_clear(), "cannot remove the hold");
        }
        log_failed(network_mtu_sweep(), "cannot remove a temporary route");
        log_failed(restore_huge_end(), HUGE_LEFT);
        restore_scopes_release(&x->scopes);
        if (x->restart_logind && x->manager)
                log_failed(bus_try_restart_unit(x->manager, "systemd-logind.service"),
                           "loginctl will not show the carried sessions");
        if (!key_is_needed(x, again)) /* before the report, behind which the next save may begin */
                log_failed(store_key_forget(), "the image key remains in memory");
        x->ticket->has_done_at = true;
        x->ticket->done_at = now_realtime();
        r = fault_point("restore:before-report");
        if (r >= 0)
                r = store_report_write(&x->store, x->ticket);
        if (r >= 0)
                r = fault_point("restore:reported");
        log_failed(r, "the result of this restore may be lost");
        log_failed(store_history_add(&x->store, x->ticket), NOT_IN_HISTORY);
        if (r < 0)
                log_failed(run_unreported(true), "carryover reboot will not get a report");
        if (r >= 0)
                log_failed(store_saving_end(&x->store), "cannot remove the note of the save");
        if (r >= 0 && !x->config.keep_images)
                images_remove(x);
        request_end(x);
        if (is_well(x->ticket))
                restoring_say(x, EVENT_ALL_CARRIED, NULL, NULL);
}

static int stop_signal_fd(void) {
        sigset_t set;

        sigemptyset(&set);
        sigaddset(&set, SIGTERM);
        if (sigprocmask(SIG_BLOCK, &set, NULL) < 0)
                return -errno;
        return signalfd(-1, &set, SFD_CLOEXEC);
}

/* As long as `carryover restore` may be thought of. */
#define FAILED_KEPT (30 * 24 * 3600 * USEC_PER_SEC)

/* Nobody waits for it: the trees run, the report is written, or there is nothing to do. */
static void wipe(const Restoring *x) {
        uint64_t now = now_realtime();
        int r;

        if (x->store.fd < 0)
                return;
        if (!x->config.keep_images)
                log_failed(store_age(&x->store, now > FAILED_KEPT ? now - FAILED_KEPT : 0),
                           "images of failed sessions remain in the store");
        r = store_wipe(&x->store, x->stop_fd);
        log_failed(r, "unneeded images were not overwritten");
        if (r > 0)
                log_info("unneeded images will be overwritten at the next start");
}

/* No ticket: a hold that stands now is one that a crash of ours left behind, if we know where tickets
 * are. */
static void nothing_to_restore(const Config *config) {
        sd_notify(0, "READY=1");
        if (hold_present(NULL) <= 0)
                return;
        if (config->partial) {
                log_warning("found a hold without a ticket, but not all of the configuration could be read: "
                            "keeping the hold until the configuration is readable");
                return;
        }
        log_warning("found a hold without a ticket: removing the hold");
        log_failed(hold_guard_end(), "cannot stop the guard of the hold");
        log_failed(hold_clear(), "cannot remove the stale hold");
}

/* Until the end. A save that is under way keeps us out, and if its shutdown was called off there is
 * something to do behind it; behind another restore there is nothing. */
static int keep_out(void) {
        int r = run_lock("restore");

        if (r != -EBUSY)
                return r;
        sd_notify(0, "EXTEND_TIMEOUT_USEC=900000000");
        r = run_lock_wait("restore", 0, now_monotonic() + SAVE_TIMEOUT);
        return r < 0 ? r : run_lock("restore");
}

static ExitStatus restore(int (*what)(Restoring *x)) {
        _cleanup_(restoring_done) Restoring x = {
                        .store.fd = -1,
                        .stop_fd = -1,
                        .lock = PTHREAD_MUTEX_INITIALIZER,
                        .turns = RESTORE_TURNS_INIT,
                        .change = PTHREAD_COND_INITIALIZER,
                        .timeline = {.lock = PTHREAD_MUTEX_INITIALIZER, .after_jump = true},
        };
        int r;

        if (early_off()) { /* said by carryover-early.service; the ticket stays sealed */
                sd_notify(0, "READY=1");
                return EXIT_OK;
        }
        x.stop_fd = stop_signal_fd(); /* first: nobody sends a signal to who has no lock */
        r = keep_out();
        if (r == -EBUSY || r == -ETIMEDOUT) { /* what there is to do is being done */
                log_error("cannot restore: %s", err_text(r));
                return EXIT_FAILED;
        }
        log_failed(r, "another restore may start at the same time");
        log_failed(restore_huge_end(), HUGE_LEFT); /* of a start that died */
        log_failed(config_load_anyway("", &x.config), "using the readable files and defaults");
        r = store_open(&x.config, &x.store);
        if (r >= 0)
                r = ticket_take(&x);
        if (r < 0)
                log_error("cannot restore: %s", err_text(r));
        if (r != 0)
                nothing_to_restore(&x.config);
        if (r > 0)
                aftermath_of_boot(&x.store); /* the boot goes on */
        if (r != 0) {
                wipe(&x);
                return r < 0 ? EXIT_FAILED : EXIT_OK;
        }
        hold_note_forget();
        log_failed(run_unreported(false), "carryover reboot will not wait for the report");
        restoring_say(&x, EVENT_CLAIMED, NULL, NULL);
        r = what(&x);
        if (r < 0)
                give_up(&x, r);
        finish(&x);
        send_ask(&x.config, &x.store);
        wipe(&x);
        return is_well(x.ticket) ? EXIT_OK : EXIT_FAILED;
}

ExitStatus flow_restore(void) {
        return restore(restore_claimed);
}

/* systemd also calls when a restore has ended by itself and said what failed, and says "success" of one that
 * was started anew meanwhile (systemd.exec(5)). */
ExitStatus flow_give_up(void) {
        const char *result = getenv("MONITOR_SERVICE_RESULT");

        if (!result || strcmp(result, "exit-code") == 0 || strcmp(result, "success") == 0)
                return EXIT_OK;
        return restore(forsaken);
}

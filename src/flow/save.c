/* SPDX-License-Identifier: GPL-2.0-or-later */

/*
 * The save, from a settled system to the seal. Its one commit point is the seal: all trees stand frozen with
 * their images on disk, each in a thread that waits inside CRIU's post-dump. Only when the ticket is durable
 * do the threads let them die; any failure before lets every tree go on living.
 */

#include "flow/saving.h"

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/err.h"
#include "base/fault.h"
#include "base/fd.h"
#include "base/log.h"
#include "base/text.h"
#include "criu/exec-bit.h"
#include "files/config.h"
#include "files/memory.h"
#include "flow/aftermath.h"
#include "flow/cancel.h"
#include "flow/flow.h"
#include "flow/tell.h"
#include "image/remap.h"
#include "inspect/census.h"
#include "inspect/facts.h"
#include "inspect/kept.h"
#include "jump/call-off.h"
#include "jump/jump.h"
#include "kernel/cpu.h"
#include "kernel/ids.h"
#include "model/connections.h"
#include "model/digest.h"
#include "netlink/network.h"
#include "store/history.h"
#include "store/key.h"
#include "store/room.h"

#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>
#include <sys/utsname.h>
#include <unistd.h>

#define OWN_UNIT "carryover.service"

void saving_done(Saving *s) {
        hold_guard_stopp(&s->guard);
        if (s->n_late > 0) /* a thread may still use the rest, and the process ends */
                return;
        bus_closep(&s->manager);
        model_free(s->request);
        model_free(s->ticket);
        model_free(s->waiting);
        candidates_done(&s->own);
        for (size_t i = 0; i < s->n_gone; i++)
                model_free(s->gone[i]);
        free(s->gone);
        saving_allow_restore(s);
        store_close(&s->store);
        explicit_bzero(s->box_key, sizeof s->box_key);
}

/* What waits is compared by the key that its own ticket had, so all of the new one is. */
static int ticket_key(Saving *s) {
        uint8_t key[DIGEST_KEY];
        Ticket *t = s->ticket;
        int r;

        if (s->waiting && s->waiting->has_image_key)
                memcpy(key, s->waiting->image_key.data, sizeof key);
        else if (getrandom(key, sizeof key, 0) != sizeof key)
                return err_born(-errno, "cannot generate a checksum key");
        r = model_set_bytes(&t->image_key, key, sizeof key);
        t->has_image_key = r >= 0;
        s->keys.digest = t->image_key.data;
        return r;
}

static int ticket_begin(Saving *s) {
        char boot[37], kernel[128];
        uint8_t random[16];
        char id[33];
        Ticket *t = model_new(Ticket, ticket__init);
        struct utsname u;
        int r;

        if (!t)
                return -ENOMEM;
        s->ticket = t;
        s->timeline.ticket = t;
        if (getrandom(random, sizeof random, 0) != sizeof random)
                return err_born(-errno, "cannot generate a ticket id");
        hex_encode(random, sizeof random, id);
        r = system_boot_id(boot);
        if (r >= 0)
                r = system_kernel(kernel);
        if (r >= 0 && uname(&u) < 0)
                r = err_born(-errno, "cannot determine the machine type");
        if (r < 0)
                return err_pass(r);
        log_failed(cpu_instructions("/proc/cpuinfo", &t->instructions),
                   "a change of the processor cannot be detected");
        if (model_set_string(&t->id, id) < 0 || model_set_string(&t->version, PROJECT_VERSION) < 0 ||
            model_set_string(&t->old_boot, boot) < 0 || model_set_string(&t->old_kernel, kernel) < 0 ||
            model_set_string(&t->machine, u.machine) < 0 || model_set_string(&t->action, s->action) < 0 ||
            model_set_string(&t->hold_backend, "auto") < 0)
                return -ENOMEM;
        r = ticket_key(s);
        if (r < 0)
                return err_pass(r);
        if (s->request) {
                t->has_request_at = true;
                t->request_at = s->request->realtime;
        }
        return s->request && s->request->kernel ? model_set_string(&t->target_kernel, s->request->kernel)
                                                : 0;
}

/* A soft-reboot leaves kernel and boot id as they are: this tells the restore that there was one. */
static void note_soft_reboots(Saving *s) {
        uint32_t n = 0;
        int r = strcmp(s->action, "soft-reboot") == 0 ? bus_soft_reboots(s->manager, &n) : 1;

        log_failed(r, "the report may take a cancelled soft-reboot for one that took place");
        if (r == 0) {
                s->ticket->has_soft_reboots = true;
                s->ticket->soft_reboots = n;
        }
}

/* A tree that preflight refuses now counts like one whose save failed. */
static void refuse(Saving *s, const Candidate *c) {
        const VerdictNote *note = verdict_refusal(&c->verdict);

        if (!note)
                return;
        (void)saving_leave(c->tree, note->text);
        saving_say(s, EVENT_TREE_REFUSED, c->tree, note->text);
        s->n_failed++;
}

static int note_losses(const Candidate *c) {
        for (size_t i = 0; i < c->verdict.n_notes; i++) {
                const VerdictNote *n = c->verdict.notes + i;

                if (n->level == VERDICT_DEGRADED &&
                    tree_degrade(c->tree, n->what, n->remedy, "%s", n->text) < 0)
                        return -ENOMEM;
        }
        return 0;
}

static int find_trees(Saving *s) {
        _cleanup_(preflight_facts_done) PreflightFacts facts = {0};
        _cleanup_(freep) char *why = NULL;
        Candidates *own = &s->own;
        int r;

        r = kept_trees(&s->config, s->request ? s->request->target : NULL, own);
        if (r >= 0 && own->refused) {
                log_warning("%s", own->refused);
                if (s->request && !saving_is_forced(s))
                        r = err_say(-EPERM, "%s", own->refused);
        }
        if (r >= 0)
                r = facts_of_save(&s->config, &s->store, &s->features, strcmp(s->action, "kexec") == 0,
                                  &facts);
        if (r >= 0)
                r = inspect(&facts, own);
        if (r >= 0)
                kept_forget_gone(own);
        if (r >= 0 && own->machine.level == VERDICT_REFUSED) {
                (void)candidates_refused(own, &why);
                r = err_say(-ENOSPC, "%s", why ?: "out of memory");
        }
        if (r < 0)
                return err_pass(r);
        r = saving_give(s, own);
        for (size_t i = 0; r >= 0 && i < own->n; i++) {
                r = note_losses(own->items + i);
                refuse(s, own->items + i);
        }
        return r;
}

/* `carryover reboot` shows it, while it still runs. */
static bool settle_for(const char *busy) {
        (void)run_waits_for(busy);
        return !run_called_off();
}

/* Everything that serves others stops before the freeze; the sessions run meanwhile. */
static void settle(Saving *s) {
        StepClock clock = step_begin();
        int r = bus_wait_settled(s->manager, OWN_UNIT, now_monotonic() + s->config.settle_usec, settle_for);

        log_failed(run_waits_for(NULL), "carryover reboot shows what it waits for no longer");
        if (r == -ECANCELED)
                return;
        if (r < 0)
                log_warning("%s; saving anyway", err_text(r));
        /* What is written now need not be written while the trees stand frozen. */
        log_failed(sync_machine(now_monotonic() + SYNC_TIMEOUT), "saving anyway");
        step_end(&s->timeline, "save.settle", NULL, clock);
}

/* Whether the kernel that `carryover reboot` has loaded is told the key that the images get. */
static bool key_is_loaded(const Saving *s) {
        uint8_t mark[DIGEST_SIZE];

        return s->request && s->request->key_mark.len == sizeof mark &&
               store_key_mark(s->box_key, mark) >= 0 &&
               memcmp(mark, s->request->key_mark.data, sizeof mark) == 0;
}

/* The kernel that `carryover reboot` has loaded will do, if nothing changed since that early boot must
 * know. */
static bool is_loaded(const Saving *s, const Early *needed) {
        return s->request && s->request->loaded && early_covers(s->request->loaded, needed) &&
               (!s->keys.box || key_is_loaded(s)) && kexec_loaded() > 0;
}

static int load(Saving *s) {
        _cleanup_(early_freep) Early *early = NULL;
        StepClock clock = step_begin();
        Kernel kernel;
        int r;

        r = early_of(s->ticket, &early);
        if (r >= 0 && is_loaded(s, early))
                return 0;
        if (r >= 0 && s->keys.box)
                r = early_set_key(early, s->box_key);
        /* Only where it is: whether it will do was found out before the shutdown began. */
        if (r >= 0)
                r = kernel_find("", s->request ? s->request->kernel : NULL, &kernel);
        if (r >= 0)
                r = jump_load(&kernel, s->request ? s->request->append : NULL, early);
        if (early)
                early_forget_key(early);
        if (r < 0)
                return err_pass(r);
        s->has_loaded = true;
        step_end(&s->timeline, "jump.load", NULL, clock);
        return model_set_string(&s->ticket->target_kernel, kernel.version);
}

/* What waits was encrypted under another configuration, and its key goes along. */
static bool is_key_needed(const Saving *s) {
        return s->waiting && s->waiting->encrypted && strcmp(s->action, "kexec") == 0;
}

/*
 * The key, and a kernel that is told it: while the trees still live, since without it there is no way back
 * from the seal but in this kernel. If nobody asked for the jump by `carryover reboot`, it is loaded here
 * for the first time.
 */
static int encryption_begin(Saving *s) {
        int r;

        if (!s->config.encrypt && !is_key_needed(s))
                return 0;
        log_failed(memory_lock(), "contents of the images may be swapped to disk");
        r = store_key_draw(s->box_key);
        if (r < 0)
                return err_pass(r);
        s->keys.box = s->box_key;
        s->ticket->has_encrypted = s->ticket->encrypted = true;
        return key_is_loaded(s) ? 0 : load(s);
}

static int hold_begin(Saving *s) {
        _cleanup_(hold_set_done) HoldSet all = {0};
        StepClock clock = step_begin();
        int r = 0;

        for (size_t i = 0; r >= 0 && i < s->n_own; i++)
                r = saving_wires(s->ticket->trees[i]);
        if (r >= 0)
                r = saving_hold(s);
        if (r >= 0 && s->waiting)
                log_failed(hold_guard_end(), "cannot stop the guard of the hold");
        if (r >= 0)
                r = hold_set_of(s->ticket, &all);
        if (r >= 0)
                r = network_drivers(&all, s->ticket);
        step_end(&s->timeline, "save.hold", NULL, clock);
        return r < 0 ? err_pass(r) : fault_point("save:after-hold");
}

static int jump(Saving *s) {
        int r;

        if (strcmp(s->action, "kexec") != 0)
                return 0;
        r = fault_point("jump:before-load");
        if (r >= 0)
                r = load(s);
        if (r >= 0)
                r = fault_point("jump:loaded");
        if (r < 0)
                return err_pass(r);
        saving_say(s, EVENT_JUMP_LOADED, NULL, NULL);
        return 0;
}

/* From the seal to the jump other services still stop, and one that flushes nftables' rules would open the
 * hold: a process of ours stays behind (KillMode=process), until systemd-shutdown ends everything and nobody
 * is left to flush, or until a restore takes over, because the shutdown was called off. */
static int guard_leave(Saving *s) {
        _cleanup_(hold_set_done) HoldSet all = {0};
        int r = hold_set_of(s->ticket, &all);

        if (r >= 0)
                r = hold_guard_leave(s->guard, s->hold, &all);
        return r < 0 ? err_pass(r) : 0;
}

void saving_take_back(Saving *s) {
        saving_allow_restore(s);
        if (!saving_is_taken_back(s) || !s->manager)
                return;
        log_failed(call_off_shutdown(s->manager, s->request), "the system may shut down");
        if (s->has_loaded)
                log_failed(kexec_unload(), "another reboot may use the kernel that was loaded for this one");
}

bool saving_is_taken_back(const Saving *s) {
        return s->request || s->called_off;
}

int saving_go_on(Saving *s) {
        s->called_off |= s->may_be_called_off && run_called_off();
        return s->called_off ? err_say(-ECANCELED, CANCELLED) : 0;
}

int saving_decided(Saving *s) {
        int r = s->may_be_called_off ? run_seal_take() : 0;

        return r < 0 ? err_pass(r) : saving_go_on(s);
}

/* Before there is a ticket, and perhaps a store to report to. */
static ExitStatus not_begun(Saving *s, const Candidates *kept, int why) {
        log_error("nothing was saved: %s", err_text(why));
        for (size_t i = 0; i < kept->n; i++)
                report_event(&(Event){.kind = EVENT_TREE_REFUSED,
                                      .tree = kept->items[i].tree->name,
                                      .reason = err_text(why)});
        (void)saving_decided(s);
        saving_take_back(s);
        return EXIT_FAILED;
}

/* Images of trees that are not in the sealed ticket are secrets of nobody's use. */
static void discard_left(Saving *s) {
        for (size_t i = 0; i < s->ticket->n_trees; i++)
                if (s->ticket->trees[i]->outcome)
                        log_failed(store_tree_discard(&s->store, s->ticket->trees[i]->name),
                                   "images of a failed save remain in the store");
}

const char *saving_fate(const Saving *s) {
        return saving_is_taken_back(s) ? "the tree continues to run"
                                       : "the tree ends if this shutdown continues";
}

/* Behind all that others wait for; before the note goes, by which the next boot does it if we do not come to
 * it. The trees may have ended meanwhile. */
static void sweep_beside(Tree *const *trees, size_t n) {
        Sweep sweep = by_inode_sweep_begin();

        for (size_t i = 0; i < n; i++) {
                exec_bits_return_files(trees[i], &sweep);
                remaps_sweep_lost(trees[i], &sweep);
        }
        log_failed(by_inode_sweep_end(&sweep), LEFT_BESIDE);
}

ExitStatus saving_stop(Saving *s, int why) {
        _cleanup_(freep) char *reason = strdup(err_text(why)), *fate = NULL;

        (void)saving_decided(s); /* it may have failed of something else */
        fate = text_format("the save was stopped; %s", saving_fate(s));
        saving_part(s);
        for (size_t i = 0; i < s->ticket->n_trees; i++) {
                Tree *tree = s->ticket->trees[i];

                log_failed(store_tree_discard(&s->store, tree->name),
                           "images of a stopped save remain in the store");
                if (!tree->outcome)
                        (void)saving_leave(tree, fate ?: "out of memory");
        }
        (void)model_set_string(&s->ticket->stopped, reason ?: "out of memory");
        s->ticket->has_called_off = s->ticket->called_off = s->called_off;
        log_failed(store_report_write(&s->store, s->ticket), "cannot write the report");
        log_failed(store_history_add(&s->store, s->ticket), NOT_IN_HISTORY);
        saving_say(s, EVENT_SAVE_STOPPED, NULL, reason);
        tell_stopped(s);
        saving_take_back(s);
        sweep_beside(s->ticket->trees, s->ticket->n_trees);
        sweep_beside(s->gone, s->n_gone);
        log_failed(store_saving_end(&s->store), "the next boot will report this save again");
        return EXIT_FAILED;
}

/* Answer 1: nothing is to be saved, and the shutdown is not kept waiting. */
static int saving_ask(Saving *s, Candidates *ret_kept) {
        int r;

        r = run_request_read(&s->request); /* first: a failure of the others is told to who asked */
        if (r >= 0)
                r = bus_open_manager(&s->manager);
        if (r >= 0)
                r = bus_shutdown_action(s->manager, &s->action);
        if (r < 0)
                return err_pass(r);
        if (!s->action) {
                log_debug("the system is not shutting down, nothing to save");
                return 1;
        }
        if (s->request && strcmp(s->request->action, s->action) != 0)
                model_free(TAKE(s->request)); /* of a reboot that did not take place */
        r = config_load("", &s->config);      /* all of it: who asked for encryption must not go without */
        if (r >= 0)
                r = saving_end_restore(s); /* what it is about to bring back may be kept, too */
        if (r >= 0)
                r = kept_trees(&s->config, s->request ? s->request->target : NULL, ret_kept);
        if (r < 0)
                return err_pass(r);
        if (ret_kept->n == 0 && !ret_kept->refused) {
                log_info("nothing is kept");
                return 1;
        }
        r = run_seal_begin(s->request);
        if (r < 0)
                return err_pass(r);
        s->may_be_called_off = true;
        return saving_go_on(s);
}

static int saving_open(Saving *s) {
        int r;

        s->hold = s->config.hold;
        r = store_open(&s->config, &s->store);
        if (r >= 0)
                r = store_lasts(&s->store);
        if (r >= 0)
                r = saving_find_waiting(s);
        if (r >= 0)
                r = criu_probe(s->config.criu, CRIU_PROBE_USEC, &s->features);
        if (r >= 0)
                r = ticket_begin(s);
        if (r >= 0)
                note_soft_reboots(s);
        return r < 0 ? err_pass(r) : 0;
}

/* What nobody kept, as `carryover reboot` has seen it; else as it is now, before other services have
 * stopped. Units that the shutdown stops early may be gone from it already. */
static int note_ended(Saving *s, const Candidates *kept) {
        _cleanup_(census_done) Census census = {0};
        int r;

        if (s->request && !s->request->ended_unknown) {
                s->ticket->n_ended = TAKE(s->request->n_ended);
                s->ticket->ended = TAKE(s->request->ended);
                return 0;
        }
        r = census_try(&s->config, kept, &census);
        return r < 0 ? r : census_ended(&census, &s->ticket->ended, &s->ticket->n_ended);
}

/* Whoever finds this save dead knows from here on what it was to save. */
static int saving_note(Saving *s, Candidates *kept) {
        int r = note_ended(s, kept);

        if (r >= 0)
                r = saving_give(s, kept);
        if (r >= 0)
                r = store_saving_begin(&s->store, s->ticket);
        return r < 0 ? err_pass(r) : fault_point("save:noted");
}

/* What of the trees' own surroundings the save will change, noted before it does. */
static int saving_note_touched(Saving *s) {
        int r = 0;

        for (size_t i = 0; r >= 0 && i < s->ticket->n_trees; i++)
                if (!s->ticket->trees[i]->outcome)
                        r = exec_bits_find(s->ticket->trees[i]);
        return r < 0 ? err_pass(r) : store_saving_begin(&s->store, s->ticket);
}

/* The ticket is sealed. If it was `carryover reboot` that asked, the shutdown is taken back: what starts
 * again then begins with carryover-restore.service. Somebody else's goes its longer way, through the
 * firmware. */
static void finish(Saving *s) {
        _cleanup_(freep) char *reason = NULL;
        int r = jump(s);

        if (r < 0) {
                reason = text_format("the next kernel could not be loaded: %s", err_text(r));
                saving_say(s, EVENT_JUMP_FAILED, NULL, err_text(r));
                (void)run_progress("%s", reason ?: "out of memory");
                if (s->request)
                        (void)model_set_string(&s->ticket->stopped, reason);
        }
        log_failed(store_amend(&s->store, s->ticket), "the ticket will not have the complete timeline");
        log_failed(store_saving_end(&s->store), "cannot remove the note of this save");
        if (r < 0)
                saving_take_back(s);
}

static ExitStatus nothing_left(Saving *s) {
        sweep_beside(s->gone, s->n_gone);
        if (saving_decided(s) < 0)
                saving_take_back(s);
        log_info("all kept trees have ended");
        log_failed(store_saving_end(&s->store), "the next boot will report an empty save");
        return EXIT_OK;
}

static ExitStatus save(void) {
        _cleanup_(saving_done) Saving s = SAVING_INIT;
        _cleanup_(candidates_done) Candidates kept = {0};
        int r;

        r = saving_ask(&s, &kept);
        if (r > 0)
                return EXIT_OK;
        if (r >= 0)
                r = saving_open(&s);
        if (r < 0)
                return not_begun(&s, &kept, r);
        s.deadline = now_monotonic() + s.config.settle_usec + s.config.criu_usec + SAVING_MARGIN;
        r = saving_note(&s, &kept);
        if (r >= 0) {
                settle(&s);
                r = saving_go_on(&s);
        }
        if (r >= 0)
                r = find_trees(&s);
        if (r < 0)
                return saving_stop(&s, r);
        if (s.ticket->n_trees == 0)
                return nothing_left(&s);
        saving_say(&s, EVENT_SAVE_BEGUN, NULL, NULL);
        tell_begun(&s);
        r = saving_note_touched(&s);
        if (r >= 0)
                r = store_reserve(&s.store, s.ticket, true);
        if (r >= 0)
                r = fault_point("save:begun");
        if (r >= 0)
                r = saving_join(&s);
        if (r >= 0)
                r = encryption_begin(&s);
        if (r >= 0)
                r = saving_go_on(&s);
        if (r >= 0)
                r = hold_begin(&s);
        if (r >= 0)
                r = saving_trees(&s);
        if (r < 0)
                return saving_stop(&s, r);
        if (r > 0) {
                saving_part(&s);
                return nothing_left(&s);
        }
        if (s.n_failed > 0) { /* the others die with this kernel, and their peers shall hear it */
                log_failed(saving_hold(&s), "peers of trees that are left behind get no answer");
                discard_left(&s);
        }
        log_failed(guard_leave(&s), "a firewall service that flushes the rules may remove the hold");
        sweep_beside(s.gone, s.n_gone);
        finish(&s);
        return EXIT_OK;
}

/* Two at once would freeze the same trees, and each take the other's note for that of one that has died. */
ExitStatus flow_save(void) {
        _cleanup_(closep) int lock = run_lock("save");

        if (lock == -EBUSY) {
                log_error("nothing was saved: %s", err_text(lock));
                return EXIT_FAILED;
        }
        log_failed(lock, "another save may start at the same time");
        return save();
}

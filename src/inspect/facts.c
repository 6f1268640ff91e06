/* SPDX-License-Identifier: GPL-2.0-or-later */

/* A machine that lacks something is an answer here, not an error: check reports all of it at once, where
 * each error alone would hide the next. */

#include "inspect/facts.h"

#include "base/cleanup.h"
#include "base/err.h"
#include "base/text.h"
#include "criu/criu.h"
#include "files/memory.h"
#include "inspect/containers.h"
#include "inspect/waiting.h"
#include "jump/jump.h"
#include "kernel/apparmor.h"
#include "kernel/ids.h"
#include "kernel/kexec.h"
#include "netfilter/hold.h"
#include "proc/procfs.h"
#include "report/report.h"
#include "store/room.h"
#include "systemd/bus.h"
#include "systemd/inhibit.h"
#include "systemd/login.h"
#include "systemd/restrictions.h"

#include <fcntl.h>
#include <string.h>
#include <unistd.h>

int world_look(World *ret) {
        _cleanup_(world_done) World w = {0};
        int r;

        r = snapshot_take(SNAP_PROCESSES, NULL, 0, &w.all);
        if (r >= 0)
                r = containers_name("", w.all);
        if (r >= 0)
                r = login_sessions("", &w.sessions, &w.n_sessions);
        if (r < 0)
                return err_pass(r);
        *ret = w;
        w = (World){0};
        return 0;
}

void world_done(World *world) {
        (void)snapshot_free(world->all);
        login_sessions_free(world->sessions, world->n_sessions);
        *world = (World){0};
}

SelectWorld world_select(const World *world) {
        return (SelectWorld){
                        .all = world->all, .sessions = world->sessions, .n_sessions = world->n_sessions};
}

static void note_features(const CriuFeatures *features, PreflightFacts *f) {
        f->known |= FACT(FEATURES);
        f->criu = features->saves;
}

static int ask_criu(const Config *config, CriuFeatures *features, PreflightFacts *f) {
        int r;

        r = criu_probe(config->criu, CRIU_PROBE_USEC, features);
        if (r >= 0) {
                note_features(features, f);
                r = criu_check(config->criu, CRIU_PROBE_USEC);
        }
        return preflight_know(f, FACT_CRIU, r);
}

/* Where the boot loader chooses, the newest kernel is what it most likely takes. */
static int ask_target(const char *version, bool kexec, const CriuFeatures *features, PreflightFacts *f) {
        char running[128];
        Kernel kernel;
        int r;

        r = kernel_find("", version, &kernel);
        if (r < 0)
                return kexec ? preflight_know(f, FACT_KERNEL, r) : preflight_know_if(f, FACT_TARGET, r);
        r = kexec ? preflight_know(f, FACT_KERNEL, jump_check(&kernel)) : 0;
        if (r < 0 || f->wrong[FACT_CRIU])
                return r;
        r = system_kernel(running);
        if (r >= 0)
                r = criu_fits_kernel(features, running, kernel.version);
        return preflight_know(f, FACT_TARGET, r);
}

static uint64_t amount(const Amount *a, uint64_t size) {
        return a->percent ? size / 100 * a->percent : a->bytes;
}

int facts_room(const Config *config, const Store *store, PreflightFacts *f) {
        StoreSpace space;
        int r = store_space(store, &space);

        if (r < 0)
                return err_pass(r);
        f->known |= FACT(ROOM);
        f->store_free = space.free;
        f->max_use = amount(&config->max_use, space.size);
        f->max_use -= f->max_use < space.used ? f->max_use : space.used;
        f->max_use_per_user = amount(&config->max_use_per_user, space.size);
        f->max_processes = config->max_processes;
        f->max_files = config->max_files;
        return 0;
}

/* A shutdown asks nobody but what is active. */
static int ask_service(PreflightFacts *f) {
        _cleanup_(bus_closep) Bus *manager = NULL;
        _cleanup_(freep) char *state = NULL, *load = NULL;
        const char *interface = "org.freedesktop.systemd1.Unit";
        int r;

        r = bus_open_manager(&manager);
        if (r >= 0)
                r = bus_unit_property(manager, "carryover.service", interface, "ActiveState", &state);
        if (r >= 0 && strcmp(state, "active") == 0)
                return preflight_know(f, FACT_SERVICE, 0);
        if (r >= 0)
                r = bus_unit_property(manager, "carryover.service", interface, "LoadState", &load);
        if (r < 0)
                return preflight_know(f, FACT_SERVICE, r);
        f->masked = strcmp(load, "masked") == 0;
        r = err_say(-ENOTCONN, "carryover.service is %s", f->masked ? "masked" : "not running");
        return preflight_know(f, FACT_SERVICE, r);
}

/* The next report takes the place of the one that a retry goes by. */
static int ask_retry(const Store *store, PreflightFacts *f) {
        _cleanup_(ticket_freep) Ticket *report = NULL;
        int r = store_report(store, &report);

        if (r < 0)
                return preflight_know_if(f, FACT_RETRY, r);
        for (size_t i = 0; r == 0 && i < report->n_trees; i++)
                if (report_may_retry(report->trees[i], true))
                        r = err_say(-EEXIST,
                                    "%s of the last save is not restored; another save makes a retry "
                                    "impossible",
                                    report->trees[i]->name);
        return preflight_know(f, FACT_RETRY, r);
}

static int ask_waiting(const Store *store, PreflightFacts *f) {
        _cleanup_(ticket_freep) Ticket *waiting = NULL;
        int r = waiting_find(store, &waiting);

        if (r < 0)
                return err_pass(r);
        if (r == 0 && !(f->wrong[FACT_WAITING] = waiting_text(waiting)))
                return -ENOMEM;
        return preflight_know(f, FACT_WAITING, 0);
}

/* What it holds of other saves. */
static int ask_saves(const Store *store, PreflightFacts *f) {
        int r;

        if (store->absent) {
                r = preflight_know(f, FACT_WAITING, 0);
                return r < 0 ? err_pass(r) : preflight_know(f, FACT_RETRY, 0);
        }
        r = ask_waiting(store, f);
        return r < 0 ? err_pass(r) : ask_retry(store, f);
}

/* It need not be there yet: the first save makes it. */
static int ask_store(const Config *config, PreflightFacts *f) {
        Store store;
        int r;

        r = store_look(config, &store);
        if (r >= 0) {
                r = store_lasts(&store);
                if (r >= 0)
                        r = facts_room(config, &store, f);
                if (r >= 0 && faccessat(store.fd, ".", W_OK, 0) < 0)
                        r = err_born(-errno,
                                     "the store %s, see Store= in carryover.conf(5), is not writable",
                                     store.path);
                if (r >= 0)
                        r = ask_saves(&store, f);
                store_close(&store);
        }
        return preflight_know(f, FACT_STORE, r);
}

static int ask_encrypt(const Config *config, bool kexec, PreflightFacts *f) {
        int r;

        f->encrypt = config->encrypt;
        if (!f->encrypt)
                return preflight_know(f, FACT_ENCRYPT, 0);
        r = memory_available(&f->memory_free);
        if (r >= 0 && !kexec)
                r = err_say(-EOPNOTSUPP, "only kexec carries the key of encrypted images, and this shutdown "
                                         "is not a kexec");
        return preflight_know(f, FACT_ENCRYPT, r);
}

static int ask_profiles(PreflightFacts *f) {
        int r = apparmor_read(&f->profiles);

        err_prefix(r,
                   "cannot determine whether the next boot has the AppArmor profiles of the kept trees: ");
        return preflight_know_if(f, FACT_PROFILES, r);
}

static int ask_inhibitors(PreflightFacts *f) {
        Inhibitor first;
        size_t n;
        int r = inhibit_shutdown("", &first, &n);

        if (r == 0 && !(f->wrong[FACT_INHIBIT] = inhibit_text(&first, n)))
                return -ENOMEM;
        return preflight_know_if(f, FACT_INHIBIT, r < 0 ? r : 0);
}

int facts_of_save(const Config *config, const Store *store, const CriuFeatures *features, bool kexec,
                  PreflightFacts *ret) {
        _cleanup_(preflight_facts_done) PreflightFacts f = {.not_asked = FACTS_OF_REQUEST};
        int r;

        note_features(features, &f);
        r = facts_room(config, store, &f);
        if (r >= 0)
                r = ask_encrypt(config, kexec, &f);
        if (r < 0)
                return err_pass(r);
        *ret = f;
        f = (PreflightFacts){0};
        return 0;
}

PreflightFacts facts_of_frozen(const Config *config, const CriuFeatures *features, uint64_t bytes) {
        PreflightFacts f = {
                        .known = FACT(ROOM),
                        .not_asked = FACTS_OF_REQUEST | FACT(ENCRYPT),
                        .frozen = true,
                        .store_free = bytes,
                        .max_processes = config->max_processes,
                        .max_files = config->max_files,
        };

        note_features(features, &f);
        return f;
}

int facts_gather(const Config *config, const char *kernel, bool kexec, PreflightFacts *ret) {
        _cleanup_(preflight_facts_done) PreflightFacts f = {0};
        CriuFeatures features = {0};
        int r;

        r = ask_criu(config, &features, &f);
        if (r >= 0)
                r = ask_service(&f);
        if (r >= 0)
                r = ask_store(config, &f);
        if (r >= 0)
                r = preflight_know(&f, FACT_HOLD, hold_possible(config->hold));
        if (r >= 0)
                r = ask_encrypt(config, kexec, &f);
        if (r >= 0)
                r = ask_profiles(&f);
        if (r >= 0)
                r = ask_inhibitors(&f);
        if (!kexec)
                f.not_asked |= FACT(KEXEC) | FACT(KERNEL);
        else if (r >= 0)
                r = preflight_know(&f, FACT_KEXEC, kexec_allowed());
        if (r >= 0)
                r = ask_target(kernel, kexec, &features, &f);
        if (r < 0)
                return err_pass(r);
        *ret = f;
        f = (PreflightFacts){0};
        return 0;
}

/* A tree that ended since it was selected is described by nobody; its verdict says that it is gone. */
static int inspect_tree(const PreflightFacts *facts, const Snapshot *full, Candidate *c) {
        PreflightNeeds needs;
        int r;

        r = preflight_tree(full, c->tree, facts, &c->verdict);
        if (r >= 0 && c->verdict.level != VERDICT_REFUSED)
                r = restrictions_note(full, c->tree, &c->verdict);
        if (r < 0)
                return r;
        r = select_describe(full, c->tree);
        if (r >= 0)
                r = preflight_needs(full, c->tree, &needs);
        if (r == -ESRCH || r == -E2BIG || r == -EACCES || r == -ETIMEDOUT) /* refused by its verdict */
                return 0;
        if (r < 0)
                return r;
        c->needs = (StoreShare){.bytes = needs.bytes, .names = needs.names, .huge = needs.huge};
        return 0;
}

/* A systemd that does not answer is an answer of its own (ask_service()). */
static void ask_mounts(Snapshot *s) {
        _cleanup_(bus_closep) Bus *manager = NULL;

        if (s->n_mounts == 0 || bus_open_manager(&manager) < 0)
                return;
        for (size_t i = 0; i < s->n_mounts; i++) {
                SnapMount *m = s->mounts + i;

                if (!snap_mount_is_given(m) && bus_mount_origin(manager, m, &m->origin) < 0)
                        m->origin = MOUNT_UNKNOWN;
        }
}

/* What is said of one tree may hang on the others. */
static int inspect_all(const PreflightFacts *facts, Candidates *c) {
        int r = 0;

        for (size_t i = 0; r >= 0 && i < c->n; i++)
                r = inspect_tree(facts, c->full, c->items + i);
        if (r >= 0)
                r = preflight_machine(facts, &c->machine);
        if (r >= 0)
                r = preflight_huge(c->full, c->items, c->n);
        if (r >= 0)
                r = preflight_limits(facts, c->items, c->n);
        return r < 0 ? r : preflight_peers(c->full, c->items, c->n);
}

static int inspect_once(const PreflightFacts *facts, Candidates *c) {
        _cleanup_(freep) pid_t *roots = calloc(c->n ?: 1, sizeof *roots);
        _cleanup_(freep) uid_t *users = calloc(c->n ?: 1, sizeof *users);
        SnapLook look = {.depth = SNAP_FULL,
                         .roots = roots,
                         .users = users,
                         .n = c->n,
                         .max_processes = facts->max_processes,
                         .max_files = facts->max_files};
        int r;

        if (!roots || !users)
                return -ENOMEM;
        for (size_t i = 0; i < c->n; i++) {
                roots[i] = (pid_t)c->items[i].tree->root_pid;
                users[i] = c->items[i].tree->uid;
        }
        r = snapshot_look(&look, &c->full);
        if (r >= 0)
                r = containers_name("", c->full);
        if (r >= 0)
                ask_mounts(c->full);
        if (r >= 0)
                r = inspect_all(facts, c);
        c->judged = r >= 0;
        return r < 0 ? err_pass(r) : 0;
}

/* Processes run while they are looked at, so a snapshot is not one moment. What is refused for something
 * that may be over by now is looked at once more, and not oftener. */
int inspect(const PreflightFacts *facts, Candidates *c) {
        bool may_pass = false;
        int r = inspect_once(facts, c);

        for (size_t i = 0; r >= 0 && !may_pass && i < c->n; i++)
                may_pass = preflight_may_pass(&c->items[i].verdict);
        if (!may_pass)
                return r;
        candidates_forget(c);
        return inspect_once(facts, c);
}

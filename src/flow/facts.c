/* SPDX-License-Identifier: GPL-2.0-or-later */

/* A machine that lacks something is an answer here, not an error: check reports all of it at once, where
 * each error alone would hide the next. */

#include "flow/facts.h"

#include "base/cleanup.h"
#include "base/err.h"
#include "base/text.h"
#include "criu/criu.h"
#include "files/memory.h"
#include "flow/waiting.h"
#include "jump/jump.h"
#include "kernel/apparmor.h"
#include "kernel/kexec.h"
#include "netfilter/hold.h"
#include "proc/procfs.h"
#include "report/report.h"
#include "store/room.h"
#include "systemd/bus.h"
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
        f->criu_no_new_privs = features->no_new_privs;
        f->criu_ambient = features->ambient;
        f->criu_pidfds = features->pidfds;
}

static int ask_criu(const Config *config, CriuFeatures *features, PreflightFacts *f) {
        int r;

        r = criu_probe(config->criu, features);
        if (r >= 0) {
                note_features(features, f);
                r = criu_check(config->criu);
        }
        return preflight_know(f, FACT_CRIU, r);
}

/* Where the boot loader chooses, the newest kernel is what it most likely takes. */
static int ask_target(const char *version, bool kexec, const CriuFeatures *features, PreflightFacts *f) {
        char running[128];
        Kernel kernel;
        int r;

        r = kernel_find("/boot", version, &kernel);
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
        _cleanup_(freep) char *state = NULL;
        int r;

        r = bus_open_manager(&manager);
        if (r >= 0)
                r = bus_unit_property(manager, "carryover.service", "org.freedesktop.systemd1.Unit",
                                      "ActiveState", &state);
        if (r >= 0 && strcmp(state, "active") != 0)
                r = err_say(-ENOTCONN, "carryover.service is %s: a shutdown would save nothing", state);
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

static int ask_store(const Config *config, PreflightFacts *f) {
        Store store;
        int r;

        r = store_open(config, &store);
        if (r >= 0) {
                r = store_lasts(&store);
                if (r >= 0)
                        r = ask_waiting(&store, f);
                if (r >= 0)
                        r = facts_room(config, &store, f);
                if (r >= 0 && faccessat(store.fd, ".", W_OK, 0) < 0)
                        r = err_born(-errno,
                                     "the store %s, see Store= in carryover.conf(5), is not writable",
                                     store.path);
                if (r >= 0)
                        r = ask_retry(&store, f);
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

void inspection_done(Inspection *inspection) {
        (void)snapshot_free(inspection->full);
        for (size_t i = 0; i < inspection->n; i++)
                verdict_done(inspection->verdicts + i);
        free(inspection->verdicts);
        free(inspection->limits);
        verdict_done(&inspection->machine);
        *inspection = (Inspection){0};
}

static const VerdictNote *first_refusal(const Verdict *v) {
        for (size_t i = 0; i < v->n_notes; i++)
                if (v->notes[i].level == VERDICT_REFUSED)
                        return v->notes + i;
        return NULL;
}

char *inspection_refusal(const Inspection *i) {
        const VerdictNote *note = first_refusal(&i->machine);

        for (size_t k = 0; !note && k < i->n; k++)
                note = first_refusal(i->verdicts + k);
        if (!note)
                return NULL;
        return text_format("%s%s%s", note->text, note->remedy ? "; " : "", note->remedy ?: "");
}

static void raise_level(Inspection *i, const Verdict *v) {
        if (v->level > i->worst)
                i->worst = v->level;
}

/* A tree that ended since it was selected is described by nobody; its verdict says that it is gone. */
static int inspect_tree(const PreflightFacts *facts, Tree *tree, Inspection *i, Verdict *ret,
                        PreflightClaim *claim) {
        PreflightNeeds needs;
        int r;

        r = preflight_tree(i->full, tree, facts, ret);
        if (r >= 0 && ret->level != VERDICT_REFUSED)
                r = restrictions_note(i->full, tree, ret);
        if (r < 0)
                return r;
        claim->uid = tree->uid;
        claim->refused = ret->level == VERDICT_REFUSED;
        r = select_describe(i->full, tree);
        if (r >= 0)
                r = preflight_needs(i->full, tree, &needs);
        if (r == -ESRCH || r == -E2BIG || r == -EACCES || r == -ETIMEDOUT) /* refused by its verdict */
                return 0;
        if (r < 0)
                return r;
        claim->bytes = needs.bytes;
        claim->names = needs.names;
        return 0;
}

static int divide_store(const PreflightFacts *facts, Tree *const *trees, Inspection *i,
                        PreflightClaim *claims) {
        _cleanup_(freep) Verdict **verdicts = calloc(i->n ?: 1, sizeof *verdicts);
        int r;

        if (!verdicts)
                return -ENOMEM;
        for (size_t k = 0; k < i->n; k++)
                verdicts[k] = i->verdicts + k;
        r = preflight_limits(facts, claims, i->n, verdicts);
        if (r >= 0)
                r = preflight_peers(i->full, trees, i->n, i->verdicts);
        for (size_t k = 0; r >= 0 && k < i->n; k++) {
                i->limits[k] = claims[k].limit;
                raise_level(i, i->verdicts + k);
        }
        return r;
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

static int inspect_once(const PreflightFacts *facts, Tree *const *trees, size_t n, Inspection *ret) {
        _cleanup_(inspection_done) Inspection i = {.n = n};
        _cleanup_(freep) pid_t *roots = calloc(n ?: 1, sizeof *roots);
        _cleanup_(freep) uid_t *users = calloc(n ?: 1, sizeof *users);
        _cleanup_(freep) PreflightClaim *claims = calloc(n ?: 1, sizeof *claims);
        SnapLook look = {.depth = SNAP_FULL,
                         .roots = roots,
                         .users = users,
                         .n = n,
                         .max_processes = facts->max_processes,
                         .max_files = facts->max_files};
        int r;

        i.verdicts = calloc(n ?: 1, sizeof *i.verdicts);
        i.limits = calloc(n ?: 1, sizeof *i.limits);
        if (!roots || !users || !claims || !i.verdicts || !i.limits)
                return -ENOMEM;
        for (size_t k = 0; k < n; k++) {
                roots[k] = (pid_t)trees[k]->root_pid;
                users[k] = trees[k]->uid;
        }
        r = snapshot_look(&look, &i.full);
        if (r >= 0)
                ask_mounts(i.full);
        for (size_t k = 0; r >= 0 && k < n; k++)
                r = inspect_tree(facts, trees[k], &i, i.verdicts + k, claims + k);
        if (r >= 0)
                r = preflight_machine(facts, &i.machine);
        if (r >= 0)
                r = divide_store(facts, trees, &i, claims);
        if (r < 0)
                return err_pass(r);
        raise_level(&i, &i.machine);
        *ret = i;
        i = (Inspection){0};
        return 0;
}

static bool may_pass(const Inspection *i) {
        for (size_t k = 0; k < i->n; k++)
                if (preflight_may_pass(i->verdicts + k))
                        return true;
        return false;
}

/* Processes run while they are looked at, so a snapshot is not one moment. What is refused for something
 * that may be over by now is looked at once more, and not oftener. */
int inspect(const PreflightFacts *facts, Tree *const *trees, size_t n, Inspection *ret) {
        _cleanup_(inspection_done) Inspection first = {0};
        int r = inspect_once(facts, trees, n, &first);

        if (r >= 0 && may_pass(&first))
                return inspect_once(facts, trees, n, ret);
        if (r < 0)
                return r;
        *ret = first;
        first = (Inspection){0};
        return 0;
}

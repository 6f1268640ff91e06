/* SPDX-License-Identifier: GPL-2.0-or-later */

/*
 * `carryover reboot`. Everything that can be refused is refused here, while nothing has been touched; then
 * systemd is asked for the shutdown, and this process waits, as one of the carried ones, for the report that
 * answers its request (report/wait.c), or until Ctrl-C calls it off.
 */

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/err.h"
#include "base/fd.h"
#include "base/interrupt.h"
#include "base/log.h"
#include "files/config.h"
#include "flow/cancel.h"
#include "flow/flow.h"
#include "inspect/ending.h"
#include "inspect/facts.h"
#include "inspect/kept.h"
#include "inspect/waiting.h"
#include "jump/jump.h"
#include "model/connections.h"
#include "model/waiting.h"
#include "netfilter/hold.h"
#include "proc/procfs.h"
#include "report/report.h"
#include "report/text.h"
#include "report/trees.h"
#include "report/wait.h"
#include "store/key.h"
#include "store/store.h"
#include "systemd/bus.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

ExitStatus flow_fail(int r) {
        log_error("carryover: %s", err_text(r));
        return EXIT_FAILED;
}

/* Processes that may still be born in the kept sessions between the load and the freeze, generously. */
#define PIDS_UNTIL_SAVED 1000u

/* show: what is not ok. *ret_refused: how many trees (all of them, if the machine is), and *ret_why. */
static int check_all(const Config *config, const RebootOptions *options, bool show, Candidates *trees,
                     size_t *ret_refused, char **ret_why) {
        _cleanup_(preflight_facts_done) PreflightFacts facts = {0};
        ReportStyle style = report_style();
        size_t refused = 0;
        int r;

        r = facts_gather(config, options->kernel, !options->no_kexec, &facts);
        facts.must_kexec = !options->no_kexec;
        facts.must_obey = !options->ignore_inhibitors;
        if (r >= 0)
                r = inspect(&facts, trees);
        if (r < 0)
                return err_pass(r);
        kept_forget_gone(trees);
        if (show && trees->machine.level != VERDICT_OK)
                report_machine(stdout, &trees->machine, style);
        for (size_t i = 0; i < trees->n; i++) {
                const Candidate *c = trees->items + i;

                if (show && c->verdict.level != VERDICT_OK)
                        report_tree(stdout, c, style);
                refused += c->verdict.level == VERDICT_REFUSED;
        }
        (void)fflush(stdout);
        (void)candidates_refused(trees, ret_why);
        *ret_refused = trees->machine.level == VERDICT_REFUSED ? trees->n : refused;
        return 0;
}

/* With what waits for its restore, and goes along. */
static int early_of_all(const Config *config, const Ticket *own, Early **ret) {
        _cleanup_(ticket_freep) Ticket *all = model_copy(own), *waiting = NULL;
        _cleanup_(store_close) Store store = {.fd = -1};
        int r = all ? store_open(config, &store) : -ENOMEM;

        if (r >= 0)
                r = waiting_find(&store, &waiting);
        if (r == 0)
                r = waiting_join(all, waiting);
        return r < 0 ? err_pass(r) : early_of(all, ret);
}

/*
 * Loads the kernel now, with what is known now: a failure must be known before anything stops. If nothing
 * that early boot needs to know changes until the seal, this is the one that jumps, and the save need not
 * load it again while the trees are frozen; so it lifts the process numbers a little further than it must.
 */
static int load_now(const Config *config, const RebootOptions *options, const Candidates *trees,
                    const Kernel *kernel, Request *request) {
        _cleanup_(freep) Tree **all = candidates_trees(trees);
        _cleanup_(early_freep) Early *early = NULL;
        uint8_t key[BOX_KEY], mark[DIGEST_SIZE];
        Ticket ticket = TICKET__INIT;
        int r;

        if (!all && trees->n > 0)
                return -ENOMEM;
        interrupt_catch(); /* no kernel stays loaded for the next one who reboots */
        ticket.id = (char *)"loaded-before-the-save";
        ticket.hold_backend = (char *)hold_backend_text(config->hold);
        ticket.trees = all;
        ticket.n_trees = trees->n;
        r = early_of_all(config, &ticket, &early);
        if (r < 0)
                return err_pass(r);
        early->max_pid += PIDS_UNTIL_SAVED;
        if (config->encrypt) {
                r = store_key_draw(key);
                if (r >= 0)
                        r = store_key_mark(key, mark);
                if (r >= 0)
                        r = early_set_key(early, key);
                if (r >= 0)
                        r = model_set_bytes(&request->key_mark, mark, sizeof mark);
                request->has_key_mark = r >= 0;
                explicit_bzero(key, sizeof key);
        }
        if (r >= 0)
                r = jump_load(kernel, options->append, early);
        early_forget_key(early); /* the request is a file */
        if (r < 0)
                return err_pass(r);
        request->loaded = TAKE(early);
        return 0;
}

static int request_leave(const RebootOptions *options, const Kernel *kernel, char *own, Request *request) {
        Request filled = *request;
        int r;

        interrupt_catch();
        r = interrupt_caught() ? err_say(-ECANCELED, CANCELLED) : run_seal_allow();
        if (r < 0)
                return err_pass(r);
        filled.action = options->no_kexec ? (char *)"reboot" : (char *)"kexec";
        filled.kernel = options->no_kexec ? NULL : (char *)kernel->version;
        filled.append = (char *)options->append;
        filled.has_force = true;
        filled.force = options->force;
        filled.pid = (uint32_t)getpid();
        filled.target = own;
        return run_request_write(&filled);
}

/* Two requests would take each other's place. */
static int check_shutdown(void) {
        _cleanup_(bus_closep) Bus *manager = NULL;
        const char *action = NULL;
        int r = bus_open_manager(&manager);

        if (r >= 0)
                r = bus_shutdown_action(manager, &action);
        if (r >= 0 && action)
                r = err_say(-EBUSY, "a shutdown (%s) is already in progress: see systemctl list-jobs",
                            action);
        return r < 0 ? err_pass(r) : 0;
}

static int ask(const RebootOptions *options) {
        _cleanup_(bus_closep) Bus *manager = NULL;
        int r = bus_open_manager(&manager);

        if (r >= 0)
                r = bus_start_unit(manager, options->no_kexec ? "reboot.target" : "kexec.target", true);
        return r < 0 ? err_pass(r) : 0;
}

/* EXIT_OK: it may go on. */
static ExitStatus refuse(const RebootOptions *options, size_t refused, size_t n, const char *why) {
        bool some = refused < n;

        if (refused == 0 || (options->force && some))
                return EXIT_OK;
        fprintf(stderr, "carryover: not rebooted: %s%s\n", why ?: "out of memory",
                some ? "; or use --force to leave it behind" : "");
        return EXIT_REFUSED;
}

static ExitStatus check_kept(const RebootOptions *options, const Candidates *trees) {
        if (trees->refused && !options->force)
                return refuse(options, 1, trees->n + 1, trees->refused);
        if (trees->refused)
                fprintf(stderr, "carryover: %s\n", trees->refused);
        if (trees->n > 0)
                return EXIT_OK;
        fprintf(stderr,
                "carryover: nothing is kept, and this is not a login session: run carryover keep TARGET\n");
        return EXIT_NOTHING;
}

/* EXIT_OK: whoever typed it wants what was shown. */
static ExitStatus may_end(const RebootOptions *options, Ending *ending) {
        int r = ending_ask(ending, !options->no_ask);

        if (r > 0)
                return EXIT_OK;
        fprintf(stderr, "carryover: not rebooted%s%s\n", r < 0 ? ": " : "", r < 0 ? err_text(r) : "");
        return EXIT_REFUSED;
}

static void keeping(const Tree *tree) {
        _cleanup_(freep) char *comm = text_printable(tree->comm);

        printf("keeping %s (%s)\n", tree->name, comm ?: "?");
}

/* All that can be refused, and the load, unless *ret_ask: somebody must agree first. Nothing of this is open
 * or mapped any more when this process is saved. */
static ExitStatus get_ready(const RebootOptions *options, const Config *config, const Kernel *kernel,
                            const char *own, Ending *ending, Request *request, bool *ret_ask) {
        _cleanup_(candidates_done) Candidates trees = {0};
        _cleanup_(freep) char *why = NULL;
        ExitStatus status;
        size_t refused = 0;
        int r;

        r = kept_trees(config, own, &trees);
        if (r < 0)
                return flow_fail(r);
        status = check_kept(options, &trees);
        if (status != EXIT_OK)
                return status;
        r = check_all(config, options, !ending->agreed, &trees, &refused, &why);
        if (r < 0)
                return flow_fail(r);
        status = refuse(options, refused, trees.n, why);
        if (status != EXIT_OK)
                return status;
        r = ending_show(stdout, config, &trees, options->force, ending, request);
        *ret_ask = r > 0 && !options->yes;
        if (*ret_ask)
                return EXIT_OK;
        if (r >= 0)
                r = trees_stop_order(&trees);
        if (r >= 0 && !options->no_kexec)
                r = load_now(config, options, &trees, kernel, request);
        if (r < 0)
                return flow_fail(r);
        for (size_t i = 0; i < trees.n; i++)
                keeping(trees.items[i].tree);
        return EXIT_OK;
}

/* As long as `carryover reboot` is not yet one of those that are saved: they must not hold a lock; nor may
 * one that asks (*ret_ask), who may have gone home. */
static ExitStatus begin(const RebootOptions *options, const Config *config, Ending *ending, Kernel *kernel,
                        Wait *ret_wait, bool *ret_ask) {
        _cleanup_(request_freep) Request *request = model_new(Request, request__init);
        _cleanup_(closep) int lock = run_lock("reboot");
        _cleanup_(freep) char *own = NULL;
        ExitStatus status;
        int r = request ? lock : -ENOMEM;

        if (r >= 0)
                r = check_shutdown();
        if (r >= 0 && !options->no_kexec)
                r = kernel_find("", options->kernel, kernel);
        if (r < 0)
                return flow_fail(r);
        r = kept_own(getpid(), &own);
        if (r < 0) {
                status = flow_fail(r);
                return r == -EPERM ? EXIT_REFUSED : status; /* it is larger than any tree may be */
        }
        request->realtime = now_realtime();
        status = get_ready(options, config, kernel, own, ending, request, ret_ask);
        if (status != EXIT_OK || *ret_ask)
                return status;
        *ret_wait = wait_begin(config, request->realtime);
        ret_wait->interrupted = cancel_waiting;
        r = request_leave(options, kernel, own, request);
        if (r >= 0)
                r = ask(options);
        if (r >= 0)
                return EXIT_OK;
        (void)run_request_remove();
        (void)run_seal_take();
        if (!options->no_kexec)
                (void)kexec_unload();
        return flow_fail(r);
}

ExitStatus flow_reboot(const RebootOptions *options) {
        _cleanup_(ending_done) Ending ending = {0};
        Kernel kernel = {0};
        Config config;
        ExitStatus status;
        bool ask = false;
        Wait wait;
        int r;

        /* Behind an answer everything begins anew: the question may have been open for hours. */
        do {
                r = config_load("", &config);
                status = r < 0 ? flow_fail(r) : begin(options, &config, &ending, &kernel, &wait, &ask);
        } while (status == EXIT_OK && ask && (status = may_end(options, &ending)) == EXIT_OK);
        if (status != EXIT_OK)
                return status;
        if (options->no_kexec)
                printf("rebooting\n");
        else
                printf("jumping into Linux %s\n", kernel.version);
        fflush(stdout);
        return wait_answer(&wait, NULL);
}

/* SPDX-License-Identifier: GPL-2.0-or-later */

/*
 * `carryover reboot`, and what asks for the same by Varlink. Everything that can be refused is refused here,
 * while nothing has been touched; then systemd is asked for the shutdown. The command waits, as one of the
 * carried processes, for the report that answers its request (report/wait.c), or until Ctrl-C calls it off.
 */

#include "flow/reboot.h"

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/err.h"
#include "base/fd.h"
#include "base/interrupt.h"
#include "base/log.h"
#include "base/text.h"
#include "files/config.h"
#include "flow/cancel.h"
#include "inspect/facts.h"
#include "inspect/kept.h"
#include "inspect/waiting.h"
#include "jump/jump.h"
#include "proc/procfs.h"
#include "report/report.h"
#include "report/text.h"
#include "report/trees.h"
#include "store/store.h"
#include "systemd/bus.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

ExitStatus flow_fail(int r) {
        log_error("carryover: %s", err_text(r));
        return EXIT_FAILED;
}

void reboot_done(Reboot *reboot) {
        ending_done(&reboot->ending);
        candidates_done(&reboot->trees);
        free(reboot->why);
        reboot->why = NULL;
}

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
        facts.overridden = options->ignore_inhibitors;
        if (r >= 0)
                r = inspect(&facts, trees);
        if (r < 0)
                return err_pass(r);
        kept_forget_gone(trees);
        if (show && trees->machine.level != VERDICT_OK) {
                report_machine(stdout, &trees->machine, style);
                fputc('\n', stdout);
        }
        for (size_t i = 0; i < trees->n; i++) {
                const Candidate *c = trees->items + i;

                if (show && c->verdict.level != VERDICT_OK) {
                        report_tree(stdout, c, style);
                        fputc('\n', stdout);
                }
                refused += c->verdict.level == VERDICT_REFUSED;
        }
        (void)fflush(stdout);
        (void)candidates_refused(trees, ret_why);
        *ret_refused = trees->machine.level == VERDICT_REFUSED ? trees->n : refused;
        return 0;
}

/* With what waits for its restore, and goes along. */
static int load_now(Reboot *reboot, Request *request) {
        _cleanup_(ticket_freep) Ticket *waiting = NULL;
        _cleanup_(store_close) Store store = {.fd = -1};
        int r = store_open(&reboot->config, &store);

        interrupt_catch(); /* no kernel stays loaded for the next one who reboots */
        if (r >= 0)
                r = waiting_find(&store, &waiting);
        if (r >= 0)
                r = jump_load_ahead(&reboot->kernel, reboot->options.append, &reboot->config, &reboot->trees,
                                    waiting, request);
        return r < 0 ? err_pass(r) : 0;
}

static int request_leave(const Reboot *reboot, char *own, Request *request) {
        const RebootOptions *options = &reboot->options;
        Request filled = *request;
        int r;

        interrupt_catch();
        r = interrupt_caught() ? err_say(-ECANCELED, CANCELLED) : run_seal_allow();
        if (r < 0)
                return err_pass(r);
        filled.action = options->no_kexec ? (char *)"reboot" : (char *)"kexec";
        filled.kernel = options->no_kexec ? NULL : (char *)reboot->kernel.version;
        filled.append = (char *)options->append;
        filled.has_force = true;
        filled.force = options->force;
        filled.pid = (uint32_t)reboot->caller;
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

/* Answer 0: it may go on. why: NULL: no memory. */
static int refuse(Reboot *reboot, size_t refused, size_t n, const char *why) {
        bool some = refused < n;

        if (refused == 0 || (reboot->options.force && some))
                return 0;
        reboot->why = text_format("%s%s", why ?: "out of memory",
                                  some ? "; or use --force to leave it behind" : "");
        return reboot->why ? REBOOT_REFUSED : -ENOMEM;
}

static int check_kept(Reboot *reboot) {
        const Candidates *trees = &reboot->trees;

        if (trees->refused && !reboot->options.force)
                return refuse(reboot, 1, trees->n + 1, trees->refused);
        if (trees->refused)
                fprintf(stderr, "carryover: %s\n", trees->refused);
        return trees->n > 0 ? 0 : REBOOT_NOTHING;
}

static void keeping(const Tree *tree) {
        _cleanup_(freep) char *comm = text_printable(tree->comm), *user = NULL;
        char name[REPORT_USER_SIZE];

        report_user(tree, name);
        user = text_printable(name);
        printf("keeping %s of %s (%s)\n", tree->name, user ?: "?", comm ?: "?");
}

/* All that can be refused, and the load. */
static int get_ready(Reboot *reboot, const char *own, Request *request) {
        const RebootOptions *options = &reboot->options;
        Candidates *trees = &reboot->trees;
        _cleanup_(freep) char *why = NULL;
        size_t refused = 0;
        int r;

        r = kept_trees(&reboot->config, own, trees);
        if (r >= 0)
                r = check_kept(reboot);
        if (r != 0)
                return r;
        r = check_all(&reboot->config, options, !reboot->ending.agreed, trees, &refused, &why);
        if (r >= 0)
                r = refuse(reboot, refused, trees->n, why);
        if (r != 0)
                return r;
        r = ending_show(stdout, &reboot->config, trees, options->force, &reboot->ending, request);
        if (r > 0 && !options->yes)
                return REBOOT_ASK;
        if (r >= 0)
                r = trees_stop_order(trees);
        if (r >= 0 && !options->no_kexec)
                r = load_now(reboot, request);
        if (r < 0)
                return r;
        for (size_t i = 0; i < trees->n; i++)
                keeping(trees->items[i].tree);
        return 0;
}

/* The session that it is typed in; one that is larger than any tree may be is refused. */
static int find_own(Reboot *reboot, char **ret) {
        int r = kept_own(reboot->caller, ret);

        if (r != -EPERM)
                return r;
        reboot->why = strdup(err_text(r));
        return reboot->why ? REBOOT_REFUSED : -ENOMEM;
}

/* As long as `carryover reboot` is not yet one of those that are saved: they must not hold a lock; nor may
 * one that asks (REBOOT_ASK), who may have gone home. */
int reboot_begin(Reboot *reboot) {
        _cleanup_(request_freep) Request *request = model_new(Request, request__init);
        _cleanup_(closep) int lock = run_lock("reboot");
        _cleanup_(freep) char *own = NULL;
        int r = request ? lock : -ENOMEM;

        candidates_done(&reboot->trees);
        if (r >= 0)
                r = config_load("", &reboot->config);
        if (r >= 0)
                r = check_shutdown();
        if (r >= 0 && !reboot->options.no_kexec)
                r = kernel_find("", reboot->options.kernel, &reboot->kernel);
        if (r >= 0)
                r = find_own(reboot, &own);
        if (r != 0)
                return r < 0 ? err_pass(r) : r;
        request->realtime = now_realtime();
        r = get_ready(reboot, own, request);
        if (r != 0)
                return r < 0 ? err_pass(r) : r;
        reboot->wait = wait_begin(&reboot->config, request->realtime);
        reboot->wait.interrupted = cancel_waiting;
        r = request_leave(reboot, own, request);
        if (r >= 0)
                r = ask(&reboot->options);
        if (r >= 0)
                return 0;
        (void)run_request_remove();
        (void)run_seal_take();
        if (!reboot->options.no_kexec)
                (void)kexec_unload();
        return err_pass(r);
}

static ExitStatus not_rebooted(const char *why) {
        fprintf(stderr, "carryover: not rebooted%s%s\n", why ? ": " : "", why ?: "");
        return EXIT_REFUSED;
}

/* EXIT_OK: whoever typed it wants what was shown. */
static ExitStatus may_end(const RebootOptions *options, Ending *ending) {
        int r = ending_ask(ending, !options->no_ask);

        return r > 0 ? EXIT_OK : not_rebooted(r < 0 ? err_text(r) : NULL);
}

static ExitStatus say_answer(Reboot *reboot, int r) {
        if (r < 0)
                return flow_fail(r);
        if (r == REBOOT_ASK)
                return may_end(&reboot->options, &reboot->ending);
        if (r == REBOOT_REFUSED)
                return not_rebooted(reboot->why);
        if (r != REBOOT_NOTHING)
                return EXIT_OK;
        fprintf(stderr, "carryover: " REBOOT_NOTHING_TEXT "\n");
        return EXIT_NOTHING;
}

/* Nothing of the beginning is open or mapped any more when this process is saved. */
ExitStatus flow_reboot(const RebootOptions *options) {
        _cleanup_(reboot_done) Reboot reboot = {.options = *options, .caller = getpid()};
        ExitStatus status;
        int r;

        /* Behind an answer everything begins anew: the question may have been open for hours. */
        do {
                r = reboot_begin(&reboot);
                status = say_answer(&reboot, r);
        } while (status == EXIT_OK && r == REBOOT_ASK);
        if (status != EXIT_OK)
                return status;
        candidates_done(&reboot.trees);
        if (options->no_kexec)
                printf("rebooting\n");
        else
                printf("jumping into Linux %s\n", reboot.kernel.version);
        fflush(stdout);
        return wait_answer(&reboot.wait, NULL);
}

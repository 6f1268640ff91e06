/* SPDX-License-Identifier: GPL-2.0-or-later */

#include "varlink/reboot.h"

#include "base/cleanup.h"
#include "base/err.h"
#include "base/log.h"
#include "base/text.h"
#include "flow/reboot.h"
#include "report/trees.h"
#include "json/node.h"

#include <signal.h>
#include <stdlib.h>
#include <string.h>

static int write_kernel(FILE *out, const char *version) {
        Node kernel = node_object();

        node_text(&kernel, "kernel", version);
        return node_write(out, &kernel, false);
}

static int write_begun(FILE *out, const void *userdata) {
        const Reboot *reboot = userdata;
        int r = 0;

        fputs("{\"new\":", out);
        if (reboot->options.no_kexec)
                fputs("null", out);
        else
                r = write_kernel(out, reboot->kernel.version);
        fputs(",\"keeps\":", out);
        if (r >= 0)
                r = report_trees_json(out, &reboot->trees, false);
        fputs("}", out);
        return r < 0 ? err_pass(r) : 0;
}

/* By whoever asked logind that the machine stays up. */
static bool is_inhibited(const Verdict *machine) {
        const VerdictNote *note = verdict_refusal(machine);

        return note && strcmp(note->what, "inhibited") == 0;
}

static int say_why(const Reboot *reboot, int answer, char **ret) {
        _cleanup_(freep) char *text = NULL;

        if (answer == REBOOT_NOTHING)
                return call_error(OURS "NothingKept", "message", REBOOT_NOTHING_TEXT, ret);
        if (answer == REBOOT_REFUSED)
                return call_error(is_inhibited(&reboot->trees.machine) ? OURS "Inhibited" : OURS "Refused",
                                  "message", reboot->why, ret);
        text = text_format("%zu would be lost or would have losses: call CheckAll to see them, or set yes",
                           census_ends(&reboot->ending.shown, reboot->options.force));
        return text ? call_error(OURS "WouldEnd", "message", text, ret) : -ENOMEM;
}

static void term(int how) {
        sigset_t set;

        (void)sigemptyset(&set);
        (void)sigaddset(&set, SIGTERM);
        (void)sigprocmask(how, &set, NULL);
}

void reboot_told(void) {
        term(SIG_UNBLOCK);
}

int method_reboot(const Call *call, char **ret) {
        _cleanup_(reboot_done) Reboot reboot = {.caller = call->peer->pid};
        RebootOptions *options = &reboot.options;
        int r;

        (void)call_text(call, "kernel", &options->kernel);
        (void)call_flag(call, "no_kexec", &options->no_kexec);
        (void)call_flag(call, "force", &options->force);
        (void)call_flag(call, "yes", &options->yes);
        (void)call_flag(call, "ignore_inhibitors", &options->ignore_inhibitors);
        term(SIG_BLOCK);
        r = reboot_begin(&reboot);
        if (r == 0) {
                log_info("asked for by process %d of user %u", (int)call->peer->pid, call->peer->uid);
                return err_pass(call_reply(write_begun, &reboot, false, ret));
        }
        reboot_told();
        if (r == -EBUSY)
                return call_error(OURS "Busy", "message", err_text(r), ret);
        return r < 0 ? err_pass(r) : say_why(&reboot, r, ret);
}

/* SPDX-License-Identifier: GPL-2.0-or-later */

/* What a reboot that is due would do to the sessions: said at the end of an upgrade, while their users can
 * still be kept. */

#include "base/cleanup.h"
#include "base/err.h"
#include "base/log.h"
#include "base/text.h"
#include "files/config.h"
#include "flow/flow.h"
#include "inspect/kept.h"
#include "kernel/ids.h"
#include "kernel/installed.h"
#include "report/text.h"
#include "tty/say.h"

#include <stdio.h>
#include <string.h>
#include <systemd/sd-daemon.h>
#include <unistd.h>

#define REBOOT_REQUIRED "/run/reboot-required" /* Debian's packages touch it */

/* *ret: a text if a reboot is due, or NULL. Not where somebody works in the root directory of another
 * system. */
static int reboot_due(char **ret) {
        char running[128];
        Kernel newest;
        int r;

        *ret = NULL;
        if (sd_booted() <= 0)
                return 0;
        r = system_kernel(running);
        if (r < 0)
                return err_pass(r);
        if (kernel_find("", NULL, &newest) >= 0 && kernel_version_compare(newest.version, running) > 0)
                *ret = text_format("Linux %s is installed, Linux %s is running", newest.version, running);
        else if (access(REBOOT_REQUIRED, F_OK) >= 0)
                *ret = strdup("the system requests it");
        else
                return 0;
        return *ret ? 0 : -ENOMEM;
}

/* All trees of a session or unit have the same target. */
static bool is_carried(const Candidates *trees, const char *target, size_t before) {
        for (size_t i = 0; i < before; i++)
                if (strcmp(trees->items[i].tree->target, target) == 0)
                        return true;
        return false;
}

static void show_name(bool first, const char *label, const char *target, const Session *session) {
        _cleanup_(freep) char *user = session ? text_printable(session->user) : NULL;

        printf("%s%s", first ? label : ", ", target);
        if (user)
                printf(" (%s)", user);
}

/* How many. */
static size_t show_carried(const Candidates *trees) {
        size_t n = 0;

        for (size_t i = 0; i < trees->n; i++) {
                const Tree *t = trees->items[i].tree;

                if (!is_carried(trees, t->target, i))
                        show_name(n++ == 0, "  carryover reboot would carry ", t->target, t->session);
        }
        if (n > 0)
                putchar('\n');
        return n;
}

static int show_left(const Candidates *trees) {
        _cleanup_(world_done) World world = {0};
        size_t n = 0;
        int r;

        r = world_look(&world);
        if (r < 0)
                return err_pass(r);
        for (size_t i = 0; i < world.n_sessions; i++) {
                _cleanup_(freep) char *target = text_format("session:%s", world.sessions[i]->id);

                if (!target)
                        return -ENOMEM;
                if (!is_carried(trees, target, trees->n))
                        show_name(n++ == 0, "  carryover reboot would end, unless kept: ", target,
                                  world.sessions[i]);
        }
        if (n > 0)
                putchar('\n');
        return 0;
}

static int note(void) {
        _cleanup_(candidates_done) Candidates trees = {0};
        _cleanup_(freep) char *due = NULL, *own = NULL;
        Config config;
        int r;

        r = reboot_due(&due);
        if (r < 0 || !due)
                return r;
        r = config_load("", &config);
        if (r >= 0)
                r = kept_own(getpid(), &own);
        if (r >= 0)
                r = kept_trees(&config, own, &trees);
        if (r < 0)
                return err_pass(r);
        printf("A reboot is due: %s.\n", due);
        if (show_carried(&trees) == 0)
                printf("  carryover reboot would carry nothing: see carryover keep\n");
        return show_left(&trees);
}

/* Where its user is: logind does not know the terminals that sshd opens (Debian 13), and the process asked
 * about may be sshd's own. Answer 1: there is none. */
static int session_terminal(pid_t pid, char tty[static 32]) {
        _cleanup_(world_done) World world = {0};
        const SnapProcess *one;
        int r;

        r = world_look(&world);
        if (r < 0)
                return err_pass(r);
        one = snapshot_process(world.all, pid);
        for (size_t i = 0; one && one->cgroup && i < world.all->n_processes; i++) {
                const SnapProcess *p = world.all->processes + i;

                if (p->tty_index < 0 || !p->cgroup || strcmp(p->cgroup, one->cgroup) != 0)
                        continue;
                snprintf(tty, 32, "pts/%d", p->tty_index);
                return 0;
        }
        return 1;
}

static int note_session(pid_t pid) {
        _cleanup_(freep) char *due = NULL, *own = NULL, *text = NULL;
        _cleanup_(candidates_done) Candidates kept = {0};
        char tty[32];
        Config config;
        int r;

        r = reboot_due(&due);
        if (r >= 0 && due)
                r = kept_own(pid, &own);
        if (r < 0 || !own)
                return r;
        r = session_terminal(pid, tty);
        if (r != 0)
                return r < 0 ? err_pass(r) : 0;
        r = config_load("", &config);
        if (r >= 0)
                r = kept_trees(&config, NULL, &kept);
        if (r < 0)
                return err_pass(r);
        text = text_format("\r\nA reboot is due: %s. It will %s.\r\n", due,
                           is_carried(&kept, own, kept.n)
                                           ? "carry this session"
                                           : "end this session; to keep it, run: sudo carryover keep");
        return text ? terminal_tell(tty, text) : -ENOMEM;
}

ExitStatus flow_note(pid_t session) {
        int r = session > 0 ? note_session(session) : note();

        if (r < 0)
                log_error("cannot determine what a reboot would carry: %s", err_text(r));
        return r < 0 ? EXIT_FAILED : EXIT_OK;
}

/* SPDX-License-Identifier: GPL-2.0-or-later */

/*
 * A session has one terminal to be told on, that of its login. Jobs in it have more (tmux, script), but what
 * is written there is a program's input or a picture that it has made.
 */

#include "flow/tell.h"

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/err.h"
#include "base/log.h"
#include "inspect/facts.h"
#include "model/cgroup-path.h"
#include "report/report.h"
#include "systemd/login.h"
#include "tty/say.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

typedef struct Lines {
        TerminalLine *list;
        size_t n;
} Lines;

static void lines_done(Lines *lines) {
        free(lines->list);
}

static void add(Lines *lines, const char *tty, uid_t owner, const char *text) {
        TerminalLine line = {.owner = owner};

        snprintf(line.tty, sizeof line.tty, "%s", tty);
        snprintf(line.text, sizeof line.text, "\r\n[carryover] %s\r\n", text);
        log_failed(model_append(lines->list, lines->n, line), "a terminal is not told");
}

/* Whether it is the tree of a session that has the session's terminal. */
static bool speaks(const Tree *tree) {
        const Session *session = tree->session;

        return session && session->tty && session->uid == tree->uid &&
               (!session->has_leader || session->leader == tree->root_pid);
}

static bool is_carried(const Saving *s, const char *id) {
        for (size_t i = 0; i < s->ticket->n_trees; i++) {
                const Tree *tree = s->ticket->trees[i];

                if (!tree->outcome && speaks(tree) && strcmp(tree->session->id, id) == 0)
                        return true;
        }
        return false;
}

static void add_carried(const Saving *s, const char *text, bool also_asked, Lines *lines) {
        for (size_t i = 0; i < s->ticket->n_trees; i++) {
                const Tree *tree = s->ticket->trees[i];

                if (!tree->outcome && speaks(tree) && (also_asked || !tree->asked))
                        add(lines, tree->session->tty, tree->uid, text);
        }
}

/* logind does not know the terminals that sshd opens (Debian 13): the first one of each session, by number,
 * in the order of the sessions; -1: none. One look at each process, since anybody may have many. */
static void find_terminals(const World *world, int *ret) {
        for (size_t i = 0; i < world->n_sessions; i++)
                ret[i] = -1;
        for (size_t i = 0; i < world->all->n_processes; i++) {
                const SnapProcess *p = world->all->processes + i;
                char id[SESSION_ID_MAX];
                Session *const *at;
                uint32_t uid;

                if (p->tty_index < 0 || !p->cgroup || !cgroup_session(p->cgroup, &uid, id) || p->uid != uid)
                        continue;
                at = login_find(world->sessions, world->n_sessions, id);
                if (at && (*at)->uid == uid && ret[at - world->sessions] < 0)
                        ret[at - world->sessions] = p->tty_index;
        }
}

static void add_other(const Saving *s, const Session *session, int terminal, const char *text,
                      Lines *lines) {
        char buffer[32], state[16];

        if (is_carried(s, session->id) || (!session->tty && terminal < 0) ||
            (login_field(session, "STATE", state, sizeof state) && strcmp(state, "closing") == 0))
                return; /* of one that closes, somebody else has the terminal by now */
        snprintf(buffer, sizeof buffer, "pts/%d", terminal);
        add(lines, session->tty ?: buffer, session->uid, text);
}

static void add_others(const Saving *s, const char *text, Lines *lines) {
        _cleanup_(world_done) World world = {0};
        _cleanup_(freep) int *terminals = NULL;
        int r = world_look(&world);

        if (r >= 0 && !(terminals = calloc(world.n_sessions + 1, sizeof *terminals)))
                r = -ENOMEM;
        log_failed(r, "sessions that are not kept are not told");
        if (r < 0)
                return;
        find_terminals(&world, terminals);
        for (size_t i = 0; i < world.n_sessions; i++)
                add_other(s, world.sessions[i], terminals[i], text, lines);
}

/* As long as it took the last time; 0: nobody knows. */
static uint64_t last_gap(const Saving *s) {
        _cleanup_(ticket_freep) Ticket *report = NULL;

        return store_report(&s->store, &report) == 0 ? report_gap(report) : 0;
}

static bool is_soft(const Saving *s) {
        return strcmp(s->action, "soft-reboot") == 0;
}

/* Whether the machine comes back by itself. */
static bool comes_back(const Saving *s) {
        return strcmp(s->action, "kexec") == 0 || strcmp(s->action, "reboot") == 0 || is_soft(s);
}

static void mark_asked(Saving *s) {
        const char *target = s->request ? s->request->target : NULL;

        for (size_t i = 0; target && i < s->ticket->n_trees; i++) {
                Tree *tree = s->ticket->trees[i];

                tree->has_asked = tree->asked = strcmp(tree->target, target) == 0;
        }
}

void tell_begun(Saving *s) {
        _cleanup_(lines_done) Lines lines = {0};
        const char *reboot = is_soft(s) ? "soft-reboot" : "reboot";
        uint64_t gap = last_gap(s) + USEC_PER_SEC / 2;
        char text[128];
        size_t told;

        mark_asked(s);
        if (!s->config.notify)
                return;
        if (!comes_back(s))
                snprintf(text, sizeof text, "this session is saved and continues at the next boot");
        else if (gap < USEC_PER_SEC)
                snprintf(text, sizeof text, "this session is carried over the %s", reboot);
        else
                snprintf(text, sizeof text,
                         "this session is carried over the %s and silent for about %" PRIu64 " s", reboot,
                         gap / USEC_PER_SEC);
        add_carried(s, text, true, &lines);
        add_others(s,
                   is_soft(s)      ? "this machine restarts its user space, and this session ends"
                   : comes_back(s) ? "this machine reboots, and this session ends"
                                   : "this machine shuts down, and this session ends",
                   &lines);
        s->told = true;
        told = terminals_say(lines.list, lines.n);
        log_info("told %zu of %zu terminals what becomes of their sessions", told, lines.n);
}

void tell_stopped(Saving *s) {
        _cleanup_(lines_done) Lines lines = {0};

        if (!s->told)
                return;
        s->told = false;
        if (saving_is_taken_back(s)) {
                add_carried(s, "not rebooted: this session continues", !s->request, &lines);
                add_others(s, "not rebooted: this session continues", &lines);
        } else
                add_carried(s, "this session could not be saved, and ends with this shutdown", true, &lines);
        (void)terminals_say(lines.list, lines.n);
}

void tell_carried(const Config *config, const Ticket *ticket, const Tree *tree) {
        bool jumped = ticket->new_boot && strcmp(ticket->old_boot, ticket->new_boot) != 0;
        const char *rest = report_is_soft(ticket) ? ", over a soft-reboot"
                           : jumped               ? ""
                                                  : ": the machine was not rebooted";
        _cleanup_(lines_done) Lines lines = {0};
        char text[160], after[40] = "";

        if (!config->notify || !speaks(tree) || tree->asked)
                return;
        if (tree->outcome->has_gap)
                snprintf(after, sizeof after, " after %.1f s", (double)tree->outcome->gap / USEC_PER_SEC);
        snprintf(text, sizeof text, "back in Linux %.64s%s%s", ticket->new_kernel ?: "?", after, rest);
        add(&lines, tree->session->tty, tree->uid, text);
        (void)terminals_say(lines.list, lines.n);
}

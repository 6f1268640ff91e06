/* SPDX-License-Identifier: GPL-2.0-or-later */

/*
 * logind's own record of a session is a small file of KEY=value lines which it writes so that a restarted
 * logind finds its sessions again; a systemd upgrade relies on that, so a newer logind reads an older one's.
 * We give it back with what is no longer true taken out or corrected: the leader's number, what belongs to
 * the old kernel's clock, and descriptors that logind had stored elsewhere.
 *
 * The terminal is written down even where logind did not know it (Debian 13 has no utmp, and sshd tells PAM
 * of no terminal): who(1) then guesses it from the time at which a terminal was made, and that of a carried
 * one is the restore's.
 */

#include "systemd/login.h"
#include "restore/restore.h"

#include "base/cleanup.h"
#include "base/err.h"
#include "base/fd.h"
#include "base/text.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <utmpx.h>

#define SESSIONS "/run/systemd/sessions"
#define USERS    "/run/systemd/users"

static bool dropped(const char *line) {
        static const char *const keys[] = {
                        "LEADER=",    "LEADER_PIDFDID=", "LEADER_FD_SAVED=", "SCOPE=", "SCOPE_JOB=",
                        "MONOTONIC=", "CONTROLLER=",     "STOPPING=",        "TTY="};

        for (size_t i = 0; i < ELEMENTS(keys); i++)
                if (starts_with(line, keys[i]))
                        return true;
        return false;
}

/* Where it was not logind who told of it, anybody's login record did: it must not add lines of its own. */
static const char *terminal_of(const Session *session) {
        const char *tty = session->tty;

        if (!tty || tty[strspn(tty, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789/_-")])
                return NULL;
        return tty[0] ? tty : NULL;
}

static int session_text(const Tree *tree, char **ret) {
        _cleanup_(freep) char *copy = strdup(tree->session->state_file);
        char *out = NULL, *at = NULL;
        size_t size;
        FILE *f = open_memstream(&out, &size);

        if (!copy || !f) {
                if (f)
                        fclose(f);
                free(out);
                return -ENOMEM;
        }
        for (char *line = strtok_r(copy, "\n", &at); line; line = strtok_r(NULL, "\n", &at))
                if (!dropped(line))
                        fprintf(f, "%s\n", line);
        fprintf(f, "SCOPE=%s\nLEADER=%u\n", tree->session->scope, tree->outcome->root_pid);
        if (terminal_of(tree->session))
                fprintf(f, "TTY=%s\n", terminal_of(tree->session));
        if (fclose(f) != 0) {
                free(out);
                return -ENOMEM;
        }
        *ret = out;
        return 0;
}

/* logind knows a session only if it knows its user, by a file of his; what it does not find in there it
 * works out itself. A file that is there is logind's own, because the user has logged in again. */
static int user_put_back(const Tree *tree) {
        _cleanup_(freep) char *text = NULL;
        _cleanup_(closep) int dir = -1;
        char name[16];

        dir = open_dirs(USERS, 0755);
        if (dir < 0)
                return err_pass(dir);
        snprintf(name, sizeof name, "%u", tree->session->uid);
        if (faccessat(dir, name, F_OK, AT_SYMLINK_NOFOLLOW) >= 0)
                return 0;
        text = text_format("NAME=%s\nSTATE=active\n", tree->session->user);
        if (!text)
                return -ENOMEM;
        return err_pass(file_publish(dir, name, text, strlen(text)));
}

/* A session may have several trees; the one whose root leads it is the one that its record speaks of. */
static bool leads(const Tree *tree) {
        return !tree->session->has_leader || tree->session->leader == tree->root_pid;
}

static int logind_put_back(const Tree *tree) {
        _cleanup_(closep) int dir = -1;
        _cleanup_(freep) char *text = NULL;
        int r;

        dir = open_dirs(SESSIONS, 0755);
        if (dir < 0)
                return err_pass(dir);
        if (!leads(tree) && faccessat(dir, tree->session->id, F_OK, AT_SYMLINK_NOFOLLOW) >= 0)
                return 0;
        r = session_text(tree, &text);
        if (r >= 0) /* as logind's own: sd-login(3) reads it as anybody */
                r = file_publish(dir, tree->session->id, text, strlen(text));
        return r < 0 ? err_pass(r) : 0;
}

/* A machine without /run/utmp (Debian 13) has nobody who asks for it. */
static int utmp_put_back(const Tree *tree) {
        const char *tty = terminal_of(tree->session);
        struct utmpx entry;

        if (!tree->session->has_utmp || access("/run/utmp", F_OK) < 0)
                return 0;
        if (tree->session->utmp.len != sizeof entry)
                return err_say(-EBADMSG, "the login record in the ticket has an invalid size");
        memcpy(&entry, tree->session->utmp.data, sizeof entry);
        if (entry.ut_type != USER_PROCESS)
                return err_say(-EBADMSG, "the login record in the ticket is not a login");
        if (tree->has_init_pid ||                      /* it was that of the init of its namespace */
            tree->outcome->root_pid != tree->root_pid) /* in a namespace of its own: only the root's new
                                                          number is known */
                entry.ut_pid = (pid_t)tree->outcome->root_pid;
        if (tty) /* the number may be another one now */
                strncpy(entry.ut_line, tty, sizeof entry.ut_line);
        setutxent();
        if (!pututxline(&entry)) {
                endutxent();
                return err_born(-errno, "cannot write the login record");
        }
        endutxent();
        return 0;
}

static bool is_running(Bus *manager, const char *unit) {
        _cleanup_(freep) char *state = NULL;

        return manager &&
               bus_unit_property(manager, unit, "org.freedesktop.systemd1.Unit", "ActiveState", &state) >=
                               0 &&
               (strcmp(state, "active") == 0 || strcmp(state, "activating") == 0);
}

int restore_login(Bus *manager, const Tree *tree) {
        int r;

        if (!tree->session || !tree->session->state_file ||
            tree->session->uid != tree->uid) /* somebody else's job in it does not speak for it */
                return 0;
        r = user_put_back(tree);
        if (r >= 0)
                r = logind_put_back(tree);
        if (r >= 0)
                r = utmp_put_back(tree);
        if (r < 0)
                return err_pass(r);
        return is_running(manager, "systemd-logind.service") ? 1 : 0;
}

int restore_login_reserve(const Ticket *ticket) {
        uint32_t highest = 0;

        for (size_t i = 0; i < ticket->n_trees; i++) {
                const Tree *tree = ticket->trees[i];
                uint64_t number;

                if (tree->session && parse_u64(tree->session->id, LOGIN_NUMBER_MAX, &number) >= 0 &&
                    number > highest)
                        highest = (uint32_t)number;
        }
        return highest > 0 ? login_numbers_lift(highest) : 0;
}

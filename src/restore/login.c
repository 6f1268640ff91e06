/* SPDX-License-Identifier: GPL-2.0-or-later */

/*
 * logind's own record of a session is a small file of KEY=value lines which it writes so that a restarted
 * logind finds its sessions again; a systemd upgrade relies on that, so a newer logind reads an older one's.
 * We give it back with what is no longer true taken out or corrected: the leader's number, what belongs to
 * the old kernel's clock, and descriptors that logind had stored elsewhere.
 */

#include "base/cleanup.h"
#include "base/err.h"
#include "base/fd.h"
#include "base/text.h"
#include "restore/restore.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <utmpx.h>

#define SESSIONS "/run/systemd/sessions"
#define USERS    "/run/systemd/users"

static bool dropped(const char *line) {
        static const char *const keys[] = {"LEADER=",    "LEADER_PIDFDID=", "LEADER_FD_SAVED=", "SCOPE=",
                                           "SCOPE_JOB=", "MONOTONIC=",      "CONTROLLER=",      "STOPPING="};

        for (size_t i = 0; i < ELEMENTS(keys); i++)
                if (starts_with(line, keys[i]))
                        return true;
        return false;
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
        int r;

        dir = open_dirs(USERS, 0755);
        if (dir < 0)
                return err_pass(dir);
        snprintf(name, sizeof name, "%u", tree->session->uid);
        if (faccessat(dir, name, F_OK, AT_SYMLINK_NOFOLLOW) >= 0)
                return 0;
        text = text_format("NAME=%s\nSTATE=active\n", tree->session->user);
        if (!text)
                return -ENOMEM;
        r = file_replace(dir, name, text, strlen(text));
        if (r >= 0 && fchmodat(dir, name, 0644, 0) < 0)
                r = err_born(-errno, "cannot open up " USERS "/%s", name);
        return r < 0 ? err_pass(r) : 0;
}

static int logind_put_back(const Tree *tree) {
        _cleanup_(closep) int dir = -1;
        _cleanup_(freep) char *text = NULL;
        int r;

        dir = open_dirs(SESSIONS, 0755);
        if (dir < 0)
                return err_pass(dir);
        r = session_text(tree, &text);
        if (r >= 0)
                r = file_replace(dir, tree->session->id, text, strlen(text));
        if (r >= 0 && fchmodat(dir, tree->session->id, 0644, 0) <
                                      0) /* as logind's own: sd-login(3) reads it as anybody */
                r = err_born(-errno, "cannot open up " SESSIONS "/%s", tree->session->id);
        return r < 0 ? err_pass(r) : 0;
}

/* A machine without /run/utmp (Debian 13) has nobody who asks for it. */
static int utmp_put_back(const Tree *tree) {
        struct utmpx entry;

        if (!tree->session->has_utmp || access("/run/utmp", F_OK) < 0)
                return 0;
        if (tree->session->utmp.len != sizeof entry)
                return err_say(-EBADMSG, "the ticket's login record has an odd size");
        memcpy(&entry, tree->session->utmp.data, sizeof entry);
        if (entry.ut_type != USER_PROCESS)
                return err_say(-EBADMSG, "the ticket's login record is none of a login");
        if (tree->outcome->root_pid !=
            tree->root_pid) /* in a namespace of its own: only the root's new number is known */
                entry.ut_pid = (pid_t)tree->outcome->root_pid;
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

        return bus_unit_property(manager, unit, "org.freedesktop.systemd1.Unit", "ActiveState", &state) >=
                               0 &&
               (strcmp(state, "active") == 0 || strcmp(state, "activating") == 0);
}

int login_put_back(Bus *manager, const Tree *tree) {
        int r;

        if (!tree->session || !tree->session->state_file)
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

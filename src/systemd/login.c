/* SPDX-License-Identifier: GPL-2.0-or-later */

/*
 * logind calls its state files private, and sd-login reads them all the same; so do we, since the ticket
 * carries the whole file across the jump. Unknown lines are kept and ignored.
 */

#include "systemd/login.h"

#include "base/cleanup.h"
#include "base/err.h"
#include "base/fd.h"
#include "base/text.h"
#include "files/state-file.h"
#include "model/cgroup-path.h"
#include "systemd/cgroup.h"

#include <dirent.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>
#include <utmpx.h>

#define STATE_LIMIT  (64u << 10) /* about 600 bytes in practice */
#define MAX_SESSIONS 8192u       /* logind's own SessionsMax= */

bool login_field(const Session *session, const char *key, char *out, size_t size) {
        return state_value(session->state_file, key, out, size, NULL);
}

bool login_is_ssh(const Session *session) {
        char service[64];

        return login_field(session, "SERVICE", service, sizeof service) && strcmp(service, "sshd") == 0;
}

/* logind calls sshd's monitor the leader; what sshd registers is the shell, if there is no privilege
 * separation (root), else the leader. A console login registers its terminal first. */
static bool is_entry_of(const struct utmpx *u, const char *root, const Session *session) {
        _cleanup_(freep) char *cgroup = NULL;

        if (u->ut_type != USER_PROCESS)
                return false;
        if (session->has_leader && u->ut_pid == (pid_t)session->leader)
                return true;
        if (session->tty && strncmp(u->ut_line, session->tty, sizeof u->ut_line) == 0)
                return true;
        if (root[0] || !session->scope[0] || u->ut_pid <= 0 || cgroup_of(u->ut_pid, &cgroup) < 0)
                return false;
        return cgroup_in_unit(cgroup, session->scope);
}

static int add_utmp(const char *root, Session *session) {
        struct utmpx *found = NULL;
        char path[PATH_MAX];
        int r = 0;

        snprintf(path, sizeof path, "%s/run/utmp", root);
        if (utmpxname(path) < 0)
                return 0;
        setutxent();
        while (!found && (found = getutxent()))
                if (!is_entry_of(found, root, session))
                        found = NULL;
        if (found) {
                char line[sizeof found->ut_line + 1];

                session->has_utmp = true;
                r = model_set_bytes(&session->utmp, found, sizeof *found);
                snprintf(line, sizeof line, "%.*s", (int)sizeof found->ut_line, found->ut_line);
                if (r >= 0 && !session->tty && line[0])
                        r = model_set_string(&session->tty, line);
        }
        endutxent();
        return r;
}

static int set_from(Session *session, const char *key, char **field) {
        char value[512];

        return login_field(session, key, value, sizeof value) ? model_set_string(field, value) : 0;
}

static int session_fill(const char *root, const char *id, Session *session) {
        uint64_t uid, leader;
        char value[32];
        int r;

        r = model_set_string(&session->id, id);
        if (r >= 0)
                r = set_from(session, "USER", &session->user);
        if (r >= 0)
                r = set_from(session, "SCOPE", &session->scope);
        if (r >= 0)
                r = set_from(session, "TTY", &session->tty);
        if (r >= 0)
                r = set_from(session, "REMOTE_HOST", &session->remote_host);
        if (r >= 0 && !session->user) /* required in a ticket */
                r = model_set_string(&session->user, "");
        if (r >= 0 && !(session->scope && name_is_safe(session->scope)))
                r = model_set_string(&session->scope, ""); /* no ticket may name it (store/store.h) */
        if (r < 0)
                return r;
        if (!login_field(session, "UID", value, sizeof value) || parse_u64(value, UINT32_MAX - 1, &uid) < 0)
                return err_say(-EBADMSG, "logind's file of session %s has no user", id);
        session->uid = (uint32_t)uid;
        if (login_field(session, "LEADER", value, sizeof value) && parse_u64(value, PID_MAX, &leader) >= 0 &&
            leader > 0) {
                session->has_leader = true;
                session->leader = (uint32_t)leader;
        }
        return add_utmp(root, session);
}

int login_session(const char *root, const char *id, Session **ret) {
        _cleanup_(session_freep) Session *session = model_new(Session, session__init);
        char path[PATH_MAX];
        int r;

        if (!session)
                return -ENOMEM;
        if (!name_is_safe(id))
                return 1;
        snprintf(path, sizeof path, "%s/run/systemd/sessions/%s", root, id);
        r = file_slurp(AT_FDCWD, path, STATE_LIMIT, &session->state_file, NULL);
        if (r == -ENOENT)
                return 1;
        if (r >= 0)
                r = session_fill(root, id, session);
        if (r < 0)
                return err_pass(r);
        *ret = TAKE(session);
        return 0;
}

static int id_is(const void *key, const void *session) {
        return strverscmp(key, (*(const Session *const *)session)->id); /* as by_id() */
}

Session *const *login_find(Session *const *sessions, size_t n, const char *id) {
        return n > 0 ? bsearch(id, sessions, n, sizeof *sessions, id_is) : NULL;
}

void login_sessions_free(Session **sessions, size_t n) {
        for (size_t i = 0; i < n; i++)
                model_free(sessions[i]);
        free(sessions);
}

static int by_id(const void *a, const void *b) {
        return strverscmp((*(Session *const *)a)->id, (*(Session *const *)b)->id);
}

int login_sessions(const char *root, Session ***ret, size_t *ret_n) {
        _cleanup_(closedirp) DIR *d = NULL;
        Session **list = NULL;
        struct dirent *e;
        char path[PATH_MAX];
        size_t n = 0;
        int r = 0;

        snprintf(path, sizeof path, "%s/run/systemd/sessions", root);
        d = opendir(path);
        if (!d && errno != ENOENT)
                return err_born(-errno, "cannot list %s", path);
        while (d && r >= 0 && (e = readdir(d))) {
                Session *session = NULL;

                if (e->d_type != DT_REG || e->d_name[0] == '.') /* beside N lies the FIFO N.ref */
                        continue;
                r = n < MAX_SESSIONS ? login_session(root, e->d_name, &session)
                                     : err_say(-E2BIG, "there are more than %u sessions", MAX_SESSIONS);
                if (r == 0 && session->scope[0])
                        r = model_append(list, n, session);
                else if (r == 0)
                        model_free(session);
        }
        if (r < 0) {
                login_sessions_free(list, n);
                return err_pass(r);
        }
        if (n > 0)
                qsort(list, n, sizeof *list, by_id);
        *ret = list;
        *ret_n = n;
        return 0;
}

/* Each time that a process says whose login it is, it gets the next number. */
static int number_next(uint64_t *ret) {
        _cleanup_(closep) int fd = open("/proc/self/loginuid", O_WRONLY | O_CLOEXEC);
        _cleanup_(freep) char *text = NULL;
        int r;

        if (fd < 0)
                return -errno;
        if (write(fd, "0", 1) != 1)
                return -errno;
        r = file_slurp(AT_FDCWD, "/proc/self/sessionid", 32, &text, NULL);
        if (r < 0)
                return r;
        text[strcspn(text, "\n")] = '\0';
        return parse_u64(text, UINT32_MAX, ret);
}

int login_numbers_lift(uint32_t above) {
        pid_t pid;
        int status;

        if (above > LOGIN_NUMBER_MAX)
                return err_say(-EINVAL, "login number %u is too high", above);
        pid = fork(); /* whose login it is, all children would inherit */
        if (pid < 0)
                return err_born(-errno, "cannot start the process that advances the login counter");
        if (pid == 0) {
                uint64_t number = 0;

                for (uint32_t i = 0; i < above && number < above; i++)
                        if (number_next(&number) < 0)
                                _exit(1);
                _exit(0);
        }
        while (waitpid(pid, &status, 0) < 0)
                if (errno != EINTR)
                        return err_born(-errno,
                                        "cannot wait for the process that advances the login counter");
        return WIFEXITED(status) && WEXITSTATUS(status) == 0
                               ? 0
                               : err_say(-ENOTSUP, "the kernel has no login counter");
}

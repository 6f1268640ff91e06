/* SPDX-License-Identifier: GPL-2.0-or-later */

/* The way out. */

#include "enter/enter.h"

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/err.h"
#include "base/fd.h"
#include "base/text.h"
#include "systemd/bus-service.h"
#include "tty/terminal.h"

#include <limits.h>
#include <pwd.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

#define START_USEC (30 * USEC_PER_SEC) /* a loaded machine; who waits may press ^C */
#define END_USEC   (5 * USEC_PER_SEC)  /* systemd has seen the program end by then, or never will */

/* Who typed it: sudo tells. Only root can have put that into the environment, for we are root. */
static int caller(struct passwd **ret) {
        const char *sudo = getenv("SUDO_UID");
        uint64_t uid = getuid();
        struct passwd *pw = NULL;

        if (sudo && parse_u64(sudo, UINT32_MAX - 1, &uid) < 0)
                return err_say(-EINVAL, "SUDO_UID is not a valid user: '%.32s'", sudo);
        pw = getpwuid((uid_t)uid);
        if (!pw)
                return err_say(-ESRCH, "user %u does not exist", (unsigned)uid);
        if (pw->pw_shell[0] != '/')
                pw->pw_shell = (char *)"/bin/sh";
        *ret = pw;
        return 0;
}

/* What a terminal program has to know; the rest is the login shell's business. */
static int environment(char **ret, size_t n) {
        static const char *const names[] = {"TERM", "COLORTERM", "LANG", "LC_ALL", "LC_CTYPE"};
        size_t at = 0;

        for (size_t i = 0; i < ELEMENTS(names) && at + 1 < n; i++) {
                const char *value = getenv(names[i]);

                if (!value)
                        continue;
                ret[at] = text_format("%s=%s", names[i], value);
                if (!ret[at++])
                        return -ENOMEM;
        }
        return 0;
}

static int start_shell(const TerminalPair *pair, const struct passwd *pw, TtyService **ret) {
        char unit[64], slice[64], directory[PATH_MAX], argv0[NAME_MAX + 2], *env[8] = {NULL};
        uint64_t random = 0;
        int r;

        if (getrandom(&random, sizeof random, 0) != sizeof random)
                return err_born(-EIO, "cannot get a random number");
        snprintf(unit, sizeof unit, "carryover-enter-%016llx.service", (unsigned long long)random);
        snprintf(slice, sizeof slice, "user-%u.slice", (unsigned)pw->pw_uid);
        snprintf(argv0, sizeof argv0, "-%s", strrchr(pw->pw_shell, '/') + 1);
        if (!getcwd(directory, sizeof directory))
                snprintf(directory, sizeof directory, "/");
        r = environment(env, ELEMENTS(env));
        if (r >= 0)
                r = bus_tty_service_start(
                                &(TtyServiceSpec){
                                                .unit = unit,
                                                .description = "Host Shell for a Carried Session",
                                                .slice = slice,
                                                .user = pw->pw_name,
                                                .directory = directory,
                                                .tty = pair->path,
                                                .executable = pw->pw_shell,
                                                .argv0 = argv0,
                                                .environment = (const char *const *)env,
                                },
                                now_monotonic() + START_USEC, ret);
        for (size_t i = 0; i < ELEMENTS(env); i++)
                free(env[i]);
        return r < 0 ? err_pass(r) : 0;
}

static int on_news(void *userdata) {
        return bus_tty_service_process(userdata);
}

int enter_host(int *ret) {
        _cleanup_(terminal_pair_close) TerminalPair pair = {.master = -1, .slave = -1};
        _cleanup_(tty_service_freep) TtyService *service = NULL;
        struct passwd *pw = NULL;
        int r;

        if (!isatty(STDIN_FILENO) || !isatty(STDOUT_FILENO))
                return err_say(-ENOTTY, "enter requires a terminal as standard input and output");
        r = caller(&pw);
        if (r >= 0)
                r = terminal_pair_open(STDIN_FILENO, &pair);
        if (r >= 0)
                r = start_shell(&pair, pw, &service);
        if (r < 0)
                return err_pass(r);
        pair.slave = fd_close(pair.slave); /* from now on a hangup means that the shell is gone */
        r = terminal_forward(STDIN_FILENO, STDOUT_FILENO, pair.master, bus_tty_service_fd(service), on_news,
                             service);
        if (r < 0)
                return err_pass(r);
        return bus_tty_service_wait(service, now_monotonic() + END_USEC, ret);
}

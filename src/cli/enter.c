/* SPDX-License-Identifier: GPL-2.0-or-later */

/*
 * A tree whose process numbers were taken lives in a PID namespace of its own. Nothing can leave such a
 * namespace, so the way out is a shell that systemd starts on the host, on a terminal that this process
 * shows (systemd/bus-service.h); the way in is the tree's init (proc/ns.h).
 */

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/err.h"
#include "base/fd.h"
#include "base/text.h"
#include "cli/cli.h"
#include "files/config.h"
#include "proc/ns.h"
#include "proc/procfs.h"
#include "store/store.h"
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
                return err_say(-EINVAL, "SUDO_UID is no user: '%.32s'", sudo);
        pw = getpwuid((uid_t)uid);
        if (!pw)
                return err_say(-ESRCH, "there is no user %u", (unsigned)uid);
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
                                                .description = "Shell on the Host for a Carried Session",
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

static int leave(int *ret_status) {
        _cleanup_(terminal_pair_close) TerminalPair pair = {.master = -1, .slave = -1};
        _cleanup_(tty_service_freep) TtyService *service = NULL;
        struct passwd *pw = NULL;
        int r;

        if (!isatty(STDIN_FILENO) || !isatty(STDOUT_FILENO))
                return err_say(-ENOTTY, "enter needs a terminal as its standard input and output");
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
        return bus_tty_service_wait(service, now_monotonic() + END_USEC, ret_status);
}

static const Tree *tree_named(const Ticket *report, const char *name) {
        for (size_t i = 0; i < report->n_trees; i++)
                if (strcmp(report->trees[i]->name, name) == 0 || strcmp(report->trees[i]->target, name) == 0)
                        return report->trees[i];
        return NULL;
}

/* The host's PID of the tree's init. */
static int tree_init(const char *name, pid_t *ret) {
        _cleanup_(store_close) Store store = {.fd = -1};
        _cleanup_(ticket_freep) Ticket *report = NULL;
        const Tree *tree = NULL;
        char boot[37];
        Config config;
        int r;

        r = config_load("", &config);
        if (r >= 0)
                r = store_open(&config, &store);
        if (r >= 0)
                r = store_report(&store, &report);
        if (r >= 0)
                r = system_boot_id(boot);
        if (r < 0)
                return err_pass(r);
        if (report && report->new_boot && strcmp(report->new_boot, boot) == 0)
                tree = tree_named(report, name);
        if (!tree || !tree->outcome || tree->outcome->state != OUTCOME__STATE__CARRIED)
                return err_say(-ENOENT, "no tree '%s' was carried into this boot: see carryover status",
                               name);
        if (!tree->outcome->has_root_pid || strcmp(tree->outcome->mode ?: "", "namespace") != 0)
                return err_say(-EINVAL,
                               "tree '%s' runs in the host's own namespaces: there is nothing to enter",
                               name);
        *ret = (pid_t)tree->outcome->root_pid;
        return 0;
}

static int go_in(const CliCall *call, int *ret_status) {
        const char *argv[CLI_MAX_ARGS + 1] = {NULL};
        _cleanup_(closep) int pidfd = -1;
        struct passwd *pw = NULL;
        pid_t init = 0;
        int r;

        r = tree_init(cli_arg(call, 0), &init);
        if (r >= 0)
                r = ns_open_tree(init, &pidfd);
        if (r < 0)
                return err_pass(r);
        for (size_t i = 1; i < call->n_args; i++)
                argv[i - 1] = call->args[i];
        if (!argv[0]) {
                pw = getpwuid(getuid());
                argv[0] = pw && pw->pw_shell[0] == '/' ? pw->pw_shell : "/bin/sh";
        }
        return ns_run(pidfd, (char *const *)argv, ret_status);
}

ExitStatus verb_enter(const CliCall *call) {
        int host, status = EXIT_FAILED, r;

        host = ns_is_host();
        if (host < 0)
                return cli_fail(host);
        if (host && !cli_arg(call, 0))
                r = err_say(-EINVAL,
                            "this is the host already: carryover enter NAME enters a tree that lives in a "
                            "namespace");
        else if (!host && cli_arg(call, 0))
                r = err_say(-EINVAL, "from inside a namespace only carryover enter without a name works");
        else
                r = host ? go_in(call, &status) : leave(&status);
        return r < 0 ? cli_fail(r) : (ExitStatus)status;
}

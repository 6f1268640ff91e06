/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/*
 * The order of the steps, the commit points, and who is told what: nothing else knows them. Each of these is
 * the whole of one program or verb. They log (this is the layer that speaks) and return an exit status.
 */

#include "base/exit.h"

#include <stdbool.h>
#include <sys/types.h>

#define RESTORE_UNIT "carryover-restore.service"

/* A consequence, for log_failed(). */
#define NOT_IN_HISTORY "carryover history will not show this save"

typedef struct RebootOptions {
        const char *kernel; /* version, or NULL: the newest installed */
        const char *append; /* words for the new kernel's command line, or NULL */
        bool no_kexec;      /* an ordinary reboot through the firmware */
        bool force;         /* go on without the trees that fail */
        bool yes;           /* go on though something ends or has losses */
        bool no_ask;        /* do not ask whether to, also on a terminal */
        bool ignore_inhibitors;
} RebootOptions;

/* For verbs: says err_text(r) as one line on stderr, and returns EXIT_FAILED. */
ExitStatus flow_fail(int r);

/* `carryover reboot`: asks for the shutdown and waits; inside a kept tree it returns in the new kernel. */
ExitStatus flow_reboot(const RebootOptions *options);

/* `carryover cancel`: a reboot that waits, or the shutdown whose save is under way. EXIT_NOTHING: there is
 * neither; EXIT_FAILED: it is too late. */
ExitStatus flow_cancel(void);

/* carryover.service, ExecStart: loads modules while they are there, and warms CRIU's cache. */
ExitStatus flow_start(void);

/* Loads all that CRIU, the hold and the next save need of the running kernel, while it is still on disk.
 * Returns how many could not be loaded. */
int modules_prepare(void);

/* carryover.service, ExecStop: saves what is kept if the system goes down, else does nothing. */
ExitStatus flow_save(void);

/* carryover.service, ExecStopPost: puts in order what a save has left that died. */
ExitStatus flow_save_aftermath(void);

/* Before carryover is removed from the system: no hold is left that nobody could end. */
ExitStatus flow_release(void);

/* If a reboot is due, says what it would carry and what it would end: of all sessions, on stdout, or
 * (session is one of its processes) of one, on its terminal. */
ExitStatus flow_note(pid_t session);

/* systemd-shutdown's last hook: whether the hold still stands, just before the jump; puts it back. */
ExitStatus flow_last(void);

/* `carryover restore`: one more try for a tree that could not be brought back (NULL: the only one), and with
 * force also for one that may have run already. Waits for the report. */
ExitStatus flow_retry(const char *name, bool force);

/*
 * `carryover enter`: a tree's namespaces, by its name or target, with a command (NULL-terminated, may be
 * empty: the caller's shell); or (NULL) a shell on the host. Returns what the shell or command ended with,
 * or EXIT_FAILED.
 */
ExitStatus flow_enter(const char *name, const char *const *command);

/* carryover-restore.service. */
ExitStatus flow_restore(void);

/* carryover-report.service: hands a report that was not sent to the programs in /etc/carryover/report.d. */
ExitStatus flow_send(void);

/* carryover-give-up.service, when systemd starts the restore no more: what is not back has failed, and its
 * peers are told. */
ExitStatus flow_give_up(void);

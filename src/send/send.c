/* SPDX-License-Identifier: GPL-2.0-or-later */

/* They run as root with what root wrote: nobody else may have had a hand in it. A link could lead to where
 * somebody else can exchange a file between the look and the start. */

#include "send/send.h"

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/err.h"
#include "base/exit.h"
#include "base/fd.h"
#include "base/text.h"

#include <dirent.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

static int is_program(const struct dirent *e) {
        return e->d_name[0] != '.' && !ends_with(e->d_name, "~");
}

bool send_is_wanted(const char *directory) {
        _cleanup_(closedirp) DIR *d = opendir(directory);
        struct dirent *e;

        while (d && (e = readdir(d)))
                if (is_program(e))
                        return true;
        return false;
}

static bool is_ours_alone(const struct stat *st) {
        return (st->st_uid == 0 || st->st_uid == geteuid()) && !(st->st_mode & 022);
}

static _Noreturn void child(const Sending *s, const char *path, int text_fd) {
        char *const argv[] = {(char *)path, NULL};
        char logs[PATH_MAX + 32];
        char *const environment[] = {
                        (char *)"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
                        (char *)"LANG=C.UTF-8", logs, NULL};

        snprintf(logs, sizeof logs, "CARRYOVER_LOGS=%s", s->logs);
        if (setsid() >= 0 && dup2(text_fd, STDIN_FILENO) >= 0 && chdir("/") >= 0)
                execve(path, argv, environment);
        _exit(EXIT_FAILED);
}

/* Waits until it ends or its time is over. */
static int wait_for(pid_t pid, uint64_t deadline, int *ret_status) {
        _cleanup_(closep) int pidfd = (int)syscall(SYS_pidfd_open, pid, 0);
        struct pollfd p = {.fd = pidfd, .events = POLLIN};
        int r = pidfd < 0 ? -errno : 0;

        while (r == 0) {
                int n = poll(&p, 1, deadline_ms(deadline));

                if (n > 0)
                        break;
                if (n == 0)
                        r = -ETIMEDOUT;
                else if (errno != EINTR)
                        r = -errno;
        }
        (void)kill(-pid, SIGKILL); /* what it has left behind, too */
        while (waitpid(pid, ret_status, 0) < 0)
                if (errno != EINTR)
                        return -errno;
        return r;
}

static int run(const Sending *s, const char *path) {
        _cleanup_(closep) int text_fd = memfd_with("report", s->text, strlen(s->text));
        int status = 0, r;
        pid_t pid;

        if (text_fd < 0)
                return err_born(text_fd, "cannot pass the report to %s", path);
        pid = fork();
        if (pid < 0)
                return err_born(-errno, "cannot run %s", path);
        if (pid == 0)
                child(s, path, text_fd);
        r = wait_for(pid, now_monotonic() + s->timeout_usec, &status);
        if (r == -ETIMEDOUT)
                return err_say(r, "%s was killed: it did not end within %.0f s", path,
                               (double)s->timeout_usec / USEC_PER_SEC);
        if (r < 0)
                return err_born(r, "cannot wait for %s", path);
        if (WIFSIGNALED(status))
                return err_say(-EIO, "%s was killed by signal %d", path, WTERMSIG(status));
        return WEXITSTATUS(status) == 0
                               ? 0
                               : err_say(-EIO, "%s exited with status %d", path, WEXITSTATUS(status));
}

static int check_and_run(const Sending *s, const char *name) {
        _cleanup_(freep) char *path = text_format("%s/%s", s->directory, name);
        struct stat st;

        if (!path)
                return -ENOMEM;
        if (lstat(path, &st) < 0)
                return err_born(-errno, "cannot stat %s", path);
        if (!S_ISREG(st.st_mode) || !(st.st_mode & 0100))
                return err_say(-ENOEXEC,
                               "%s is no program of its own: copy it here and run chmod u+x, or remove it",
                               path);
        if (!is_ours_alone(&st))
                return err_say(-EPERM,
                               "%s was not run: others can write to it: run chown root and chmod go-w",
                               path);
        return run(s, path);
}

int send_all(const Sending *s, void (*say)(const char *sentence), size_t *ret_failed) {
        struct dirent **names = NULL;
        size_t failed = 0;
        struct stat st;
        int n;

        if (stat(s->directory, &st) < 0)
                return err_born(-errno, "cannot stat %s", s->directory);
        if (!is_ours_alone(&st))
                return err_say(-EPERM,
                               "%s is writable by users other than root: run chown root and chmod go-w",
                               s->directory);
        n = scandir(s->directory, &names, is_program, alphasort);
        if (n < 0)
                return err_born(-errno, "cannot list %s", s->directory);
        for (int i = 0; i < n; i++) {
                int r = check_and_run(s, names[i]->d_name);

                if (r < 0) {
                        say(err_text(r));
                        failed++;
                }
                free(names[i]);
        }
        free(names);
        *ret_failed = failed;
        return 0;
}

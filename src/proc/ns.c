/* SPDX-License-Identifier: GPL-2.0-or-later */

#include "proc/ns.h"

#include "base/cleanup.h"
#include "base/err.h"
#include "base/fd.h"
#include "base/text.h"
#include "proc/procfs.h"

#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

/* include/linux/proc_ns.h: the inode number of the PID namespace that the kernel starts with is fixed. */
#define INITIAL_PID_NS "pid:[4026531836]"
#define NS_TEXT        64 /* "pid:[" and a number */

static int ns_text(const char *path, char ret[static NS_TEXT]) {
        ssize_t n = readlink(path, ret, NS_TEXT - 1);

        if (n < 0)
                return err_born(-errno, "cannot read %s", path);
        ret[n] = '\0';
        return 0;
}

int ns_is_host(void) {
        char own[NS_TEXT];
        int r;

        r = ns_text("/proc/self/ns/pid", own);
        return r < 0 ? err_pass(r) : strcmp(own, INITIAL_PID_NS) == 0;
}

bool ns_is_inside(void) {
        _cleanup_(freep) char *name = NULL;

        return ns_is_host() == 0 && file_slurp(AT_FDCWD, "/proc/1/comm", NS_TEXT, &name, NULL) >= 0 &&
               strcmp(name, "carryover-init\n") == 0;
}

static bool share(pid_t a, pid_t b, const char *name) {
        char path[64], one[NS_TEXT], other[NS_TEXT];
        bool known;

        snprintf(path, sizeof path, "/proc/%d/ns/%s", (int)a, name);
        known = ns_text(path, one) >= 0;
        snprintf(path, sizeof path, "/proc/%d/ns/%s", (int)b, name);
        return known && ns_text(path, other) >= 0 && strcmp(one, other) == 0;
}

/* Whoever may make a user namespace may make an init of any name in there, and mount what he likes. */
static bool is_roots(pid_t pid, const char *status) {
        char path[64];
        struct stat its, ours;

        snprintf(path, sizeof path, "/proc/%d/root", (int)pid);
        return strstr(status, "\nUid:\t0\t0\t0\t0\n") && share(pid, getpid(), "user") &&
               stat(path, &its) >= 0 && stat("/", &ours) >= 0 && its.st_dev == ours.st_dev &&
               its.st_ino == ours.st_ino;
}

static bool is_tree_init(pid_t pid) {
        char path[64], other[NS_TEXT], own[NS_TEXT], *at;
        _cleanup_(freep) char *status = NULL;

        snprintf(path, sizeof path, "/proc/%d/status", (int)pid);
        if (file_slurp(AT_FDCWD, path, 1 << 16, &status, NULL) < 0)
                return false;
        if (!starts_with(status, "Name:\tcarryover-init\n") || !is_roots(pid, status))
                return false;
        /* The line ends with the number in the innermost namespace. */
        at = strstr(status, "\nNSpid:\t");
        if (!at)
                return false;
        at += 1;
        at[strcspn(at, "\n")] = '\0';
        snprintf(path, sizeof path, "/proc/%d/ns/pid", (int)pid);
        return ends_with(at, "\t1") && ns_text(path, other) >= 0 && ns_text("/proc/self/ns/pid", own) >= 0 &&
               strcmp(other, own) != 0;
}

/* The pidfd first: once it is open and the process found alive after the checks, they were about this
 * process. */
int ns_open_tree(pid_t init, int *ret) {
        _cleanup_(closep) int pidfd = (int)syscall(SYS_pidfd_open, init, 0);
        struct pollfd p = {.fd = pidfd, .events = POLLIN};

        if (pidfd < 0)
                return err_say(-ESRCH, "the tree has ended");
        if (!is_tree_init(init) || poll(&p, 1, 0) != 0)
                return err_say(-ESRCH, "the tree has ended");
        *ret = TAKE_FD(pidfd);
        return 0;
}

int ns_open_tree_of(pid_t init, pid_t member, pid_t own_number, int *ret) {
        _cleanup_(closep) int pidfd = -1;
        int r = ns_open_tree(init, &pidfd);

        if (r < 0)
                return err_pass(r);
        if (!share(init, member, "pid") || !share(init, member, "mnt") ||
            process_own_number(member) != own_number ||
            poll(&(struct pollfd){.fd = pidfd, .events = POLLIN}, 1, 0) != 0)
                return err_say(-ESRCH, "process %d is no longer in the namespaces of process %d",
                               (int)member, (int)init);
        *ret = TAKE_FD(pidfd);
        return 0;
}

static bool take_terminal(pid_t group) {
        sigset_t mask, old;
        bool taken;

        sigemptyset(&mask);
        sigaddset(&mask, SIGTTOU); /* who is in the background would be stopped for asking */
        sigprocmask(SIG_BLOCK, &mask, &old);
        taken = tcsetpgrp(STDIN_FILENO, group) >= 0;
        sigprocmask(SIG_SETMASK, &old, NULL);
        return taken;
}

static void child_exec(char *const *argv) {
        setpgid(0, 0);
        take_terminal(getpgrp());
        execvp(argv[0], argv);
        dprintf(STDERR_FILENO, "carryover: cannot run %s in the tree: %s\n", argv[0], strerror(errno));
        _exit(127);
}

int ns_run(int pidfd, char *const *argv, int *ret) {
        pid_t pid, own = getpgrp();
        int status;

        if (setns(pidfd, CLONE_NEWPID | CLONE_NEWNS) < 0)
                return err_born(-errno, "cannot enter the namespaces of the tree");
        pid = fork(); /* only a child is in the PID namespace */
        if (pid < 0)
                return err_born(-errno, "cannot start a process in the namespaces of the tree");
        if (pid == 0)
                child_exec(argv);
        while (waitpid(pid, &status, 0) < 0)
                if (errno != EINTR)
                        return err_born(-errno, "cannot wait for %s", argv[0]);
        take_terminal(own);
        *ret = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
        return 0;
}

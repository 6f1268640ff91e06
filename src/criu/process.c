/* SPDX-License-Identifier: GPL-2.0-or-later */

/*
 * The CRIU process is a child of a program with threads, so between fork and exec there are only system
 * calls, and all that they need is prepared before. The child gets exactly four kinds of descriptors:
 * /dev/null, its log, its end of the socket, and what a restored tree shall inherit, at the numbers that the
 * request names. Everything else is closed: CRIU would carry a stray descriptor into the restored tree, or
 * find a mount in it that it does not know.
 *
 * CRIU opens the images directory as /proc/CLIENT/fd/N, where CLIENT is whoever made the socket pair, so
 * that descriptor stays here and needs no passing on.
 */

#include "criu/inside.h"
#include "criu/internal.h"

#include "base/clock.h"
#include "base/err.h"
#include "base/fd.h"
#include "base/text.h"

#include <fcntl.h>
#include <linux/sched.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

/* Exit codes of the child before it became CRIU; CRIU itself uses 0 and 1. */
enum {
        CHILD_NOT_INSIDE = 123,
        CHILD_NO_OOM_SCORE = 124,
        CHILD_NO_CGROUP = 125,
        CHILD_NO_EXEC = 127,
};

/* A file system that does not answer, perhaps a user's own, holds a process that is killed for ever; the
 * others' trees must not wait for it. */
#define KILL_GRACE (5 * USEC_PER_SEC)

/* CRIU's answers hold at most one path or error line; more than this is not CRIU. */
#define MESSAGE_MAX 65536u

typedef struct Plan {
        char path[PATH_MAX];
        const char **argv;
        const char *environment[2 + CRIU_WORDS + 1];
        int *keep; /* ascending */
        size_t n_keep;
        int null_fd, output_fd, cgroup_procs_fd; /* all above 2 */
        bool plain_oom_score;
        mode_t mask;
        pid_t session;
        bool is_bounded;
        int inside, control_fd, socket; /* as of inside_join(); inside -1: stays here */
} Plan;

int criu_find(const char *name, char path[static PATH_MAX]) {
        static const char *const places[] = {"/usr/local/sbin", "/usr/sbin", "/usr/bin", "/sbin", "/bin"};

        if (strchr(name, '/')) {
                if (snprintf(path, PATH_MAX, "%s", name) < PATH_MAX && access(path, X_OK) == 0)
                        return 0;
                return err_born(-ENOENT, "cannot execute %s", name);
        }
        for (size_t i = 0; i < ELEMENTS(places); i++)
                if (snprintf(path, PATH_MAX, "%s/%s", places[i], name) < PATH_MAX && access(path, X_OK) == 0)
                        return 0;
        return err_say(-ENOENT, "%s is not installed: install package criu", name);
}

static int compare_fds(const void *a, const void *b) {
        return *(const int *)a - *(const int *)b;
}

static int oom_score_reset(void) {
        int fd = open("/proc/self/oom_score_adj", O_WRONLY | O_CLOEXEC), r;

        if (fd < 0)
                return -errno;
        r = write(fd, "0", 1) == 1 ? 0 : -errno;
        close(fd);
        return r;
}

static _Noreturn void become_criu(const Plan *plan) {
        unsigned lowest = 3;
        sigset_t none;

        /* All but SIGABRT: sigaction() takes a lock of libc's for that one (glibc 2.41). */
        for (int s = 1; s < NSIG; s++)
                if (s != SIGABRT)
                        (void)sigaction(s, &(struct sigaction){.sa_handler = SIG_DFL}, NULL);
        if (plan->is_bounded)
                (void)sigaction(SIGXFSZ, &(struct sigaction){.sa_handler = SIG_IGN}, NULL);
        sigemptyset(&none);
        (void)sigprocmask(SIG_SETMASK, &none, NULL);
        (void)umask(plan->mask);
        if (plan->session > 0)
                (void)setsid();

        if (plan->inside >= 0 && inside_join(plan->inside, plan->control_fd, plan->socket) < 0)
                _exit(CHILD_NOT_INSIDE);
        if (plan->plain_oom_score && oom_score_reset() < 0)
                _exit(CHILD_NO_OOM_SCORE);
        if (plan->cgroup_procs_fd >= 0 && write(plan->cgroup_procs_fd, "0", 1) != 1)
                _exit(CHILD_NO_CGROUP);
        if (dup2(plan->null_fd, 0) < 0 || dup2(plan->output_fd, 1) < 0 || dup2(plan->output_fd, 2) < 0)
                _exit(CHILD_NO_EXEC);
        for (size_t i = 0; i < plan->n_keep; i++) {
                unsigned kept = (unsigned)plan->keep[i];

                if (kept > lowest)
                        (void)close_range(lowest, kept - 1, 0);
                (void)fcntl(plan->keep[i], F_SETFD, 0);
                lowest = kept + 1;
        }
        (void)close_range(lowest, ~0u, 0);
        execve(plan->path, (char *const *)plan->argv, (char *const *)plan->environment);
        _exit(CHILD_NO_EXEC);
}

/* fork() under a number of our choice (clone3(2), set_tid), for which we need the privileges of CRIU itself.
 * libc does not know of it, so a lock of libc's that another thread has now is never free in the child. */
static pid_t fork_as(pid_t pid) {
        struct clone_args args = {.exit_signal = SIGCHLD, .set_tid = (uintptr_t)&pid, .set_tid_size = 1};

        return (pid_t)syscall(SYS_clone3, &args, sizeof args);
}

/* No signal handler of ours may run in the child, so all signals are blocked around the fork. */
static pid_t fork_criu(const Plan *plan) {
        sigset_t all, old;
        int saved;
        pid_t pid = -1;

        sigfillset(&all);
        pthread_sigmask(SIG_SETMASK, &all, &old);
        if (plan->session > 0)
                pid = fork_as(plan->session);
        if (pid < 0)
                pid = plan->inside >= 0 ? inside_fork(plan->inside) : fork();
        if (pid == 0)
                become_criu(plan);
        saved = errno;
        pthread_sigmask(SIG_SETMASK, &old, NULL);
        errno = saved;
        return pid;
}

/* Our own descriptor of the same file, out of the way of the standard ones. */
static int above_stdio(int fd) {
        return fcntl(fd, F_DUPFD_CLOEXEC, 3);
}

static int plan_argv(const CriuSpawn *how, int socket, char number[static 16], Plan *plan) {
        size_t n = 0, extra = 0;

        while (how->options && how->options[extra])
                extra++;
        plan->argv = calloc(extra + 5, sizeof *plan->argv);
        if (!plan->argv)
                return -ENOMEM;
        snprintf(number, 16, "%d", socket);
        plan->argv[n++] = "criu";
        plan->argv[n++] = "--no-default-config";
        for (size_t i = 0; i < extra; i++)
                plan->argv[n++] = how->options[i];
        plan->argv[n++] = "swrk";
        plan->argv[n++] = number;
        return 0;
}

static void plan_environment(const CriuSpawn *how, Plan *plan) {
        size_t n = 0;

        plan->environment[n++] = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
        plan->environment[n++] = "LC_ALL=C";
        for (size_t i = 0; how->environment && how->environment[i] && n + 1 < ELEMENTS(plan->environment);
             i++)
                plan->environment[n++] = how->environment[i];
}

static int plan_keep(const CriuSpawn *how, int socket, Plan *plan) {
        plan->keep = calloc(how->n_fds + 2, sizeof *plan->keep);
        if (!plan->keep)
                return -ENOMEM;
        plan->keep[plan->n_keep++] = socket;
        if (how->inside > 0 && how->images_fd < 3)
                return err_say(-EINVAL, "descriptor %d cannot be passed to CRIU", how->images_fd);
        if (how->inside > 0)
                plan->keep[plan->n_keep++] = how->images_fd;
        for (size_t i = 0; i < how->n_fds; i++) {
                if (how->fds[i].fd < 3)
                        return err_say(-EINVAL, "descriptor %d cannot be passed to CRIU as '%s'",
                                       how->fds[i].fd, how->fds[i].key);
                plan->keep[plan->n_keep++] = how->fds[i].fd;
        }
        qsort(plan->keep, plan->n_keep, sizeof *plan->keep, compare_fds);
        return 0;
}

static void plan_done(Plan *plan) {
        free(plan->argv);
        free(plan->keep);
        closep(&plan->null_fd);
        closep(&plan->output_fd);
        closep(&plan->cgroup_procs_fd);
        closep(&plan->control_fd);
}

static int make_sockets(int *ret_ours, int *ret_theirs) {
        _cleanup_(closep) int theirs = -1;
        int pair[2];

        if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0)
                return err_born(-errno, "cannot create a socket for CRIU");
        theirs = above_stdio(pair[1]);
        fd_close(pair[1]);
        if (theirs < 0) {
                fd_close(pair[0]);
                return err_born(-errno, "cannot create a socket for CRIU");
        }
        *ret_ours = pair[0];
        *ret_theirs = TAKE_FD(theirs);
        return 0;
}

/* Both ends, or of a CRIU that makes its own: what it sends ours through, and a place for its own. */
static int plan_sockets(const CriuSpawn *how, Plan *plan, int *ret_near, int *ret_theirs) {
        int pair[2];

        if (how->inside <= 0)
                return err_pass(make_sockets(ret_near, ret_theirs));
        if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0)
                return err_born(-errno, "cannot create a socket for CRIU");
        *ret_near = pair[0];
        plan->inside = how->inside;
        plan->control_fd = above_stdio(pair[1]);
        *ret_theirs = above_stdio(pair[1]);
        fd_close(pair[1]);
        if (plan->control_fd < 0 || *ret_theirs < 0)
                return err_born(-errno, "cannot create a socket for CRIU");
        plan->socket = *ret_theirs;
        return 0;
}

/* The ends that the child has must be closed here: else it could die unnoticed. */
static int take_socket(Plan *plan, int *theirs, int *near) {
        int socket = -1, r;

        if (plan->inside < 0)
                return 0;
        closep(&plan->control_fd);
        plan->control_fd = *theirs = fd_close(*theirs);
        r = inside_socket(*near, &socket);
        fd_close(*near);
        *near = socket;
        return r < 0 ? err_pass(r) : 0;
}

int criu_spawn(const CriuSpawn *how, CriuProcess *ret) {
        _cleanup_(plan_done) Plan plan = {.null_fd = -1,
                                          .output_fd = -1,
                                          .cgroup_procs_fd = -1,
                                          .inside = -1,
                                          .control_fd = -1,
                                          .mask = how->mask,
                                          .plain_oom_score = how->plain_oom_score,
                                          .is_bounded = how->is_bounded,
                                          .session = how->session};
        _cleanup_(criu_process_done) CriuProcess process = CRIU_PROCESS_NONE;
        _cleanup_(closep) int theirs = -1, null = -1;
        char number[16];
        int r;

        r = criu_find(how->criu, plan.path);
        if (r < 0)
                return err_pass(r);
        r = plan_sockets(how, &plan, &process.socket, &theirs);
        if (r < 0)
                return err_pass(r);
        r = plan_argv(how, theirs, number, &plan);
        if (r < 0)
                return err_pass(r);
        plan_environment(how, &plan);
        r = plan_keep(how, theirs, &plan);
        if (r < 0)
                return err_pass(r);
        null = open("/dev/null", O_RDWR | O_CLOEXEC);
        if (null < 0)
                return err_born(-errno, "cannot open /dev/null");
        plan.null_fd = above_stdio(null);
        plan.output_fd = above_stdio(how->output_fd);
        if (plan.null_fd < 0 || plan.output_fd < 0)
                return err_born(-errno, "cannot pass a log to CRIU");
        if (how->cgroup_procs_fd >= 0) {
                plan.cgroup_procs_fd = above_stdio(how->cgroup_procs_fd);
                if (plan.cgroup_procs_fd < 0)
                        return err_born(-errno, "cannot pass a cgroup to CRIU");
        }

        process.pid = fork_criu(&plan);
        if (process.pid < 0) {
                process.pid = 0;
                return err_born(-errno, "cannot start CRIU");
        }
        /* It is our unreaped child: the number cannot be anybody else's. */
        process.pidfd = pidfd_open(process.pid, 0);
        if (process.pidfd < 0)
                return err_born(-errno, "cannot watch the CRIU process");
        r = take_socket(&plan, &theirs, &process.socket);
        if (r < 0)
                return err_pass(r);
        *ret = process;
        process = CRIU_PROCESS_NONE;
        return 0;
}

int criu_send(const CriuProcess *process, const RpcRequest *request) {
        _cleanup_(freep) uint8_t *bytes = NULL;
        size_t size = rpc_request__get_packed_size(request);
        ssize_t k;

        bytes = malloc(size ? size : 1);
        if (!bytes)
                return -ENOMEM;
        rpc_request__pack(request, bytes);
        do
                k = send(process->socket, bytes, size, MSG_NOSIGNAL);
        while (k < 0 && errno == EINTR);
        if (k < 0 && errno == EPIPE)
                return 0; /* the next criu_receive() finds it gone and its caller says why */
        if (k < 0)
                return err_born(-errno, "cannot send a request to CRIU");
        return 0;
}

int criu_receive(const CriuProcess *process, uint64_t deadline, RpcResponse **ret) {
        _cleanup_(freep) uint8_t *bytes = malloc(MESSAGE_MAX);
        struct pollfd p = {.fd = process->socket, .events = POLLIN};
        RpcResponse *response;
        ssize_t k;

        if (!bytes)
                return -ENOMEM;
        for (;;) {
                int n = poll(&p, 1, deadline_ms(deadline));

                if (n > 0)
                        break;
                if (n == 0)
                        return -ETIMEDOUT;
                if (errno != EINTR)
                        return err_born(-errno, "cannot receive from CRIU");
        }
        /* A descriptor that some notifications carry is of no use here; without room for it the kernel
         * drops it. */
        do
                k = recv(process->socket, bytes, MESSAGE_MAX, MSG_TRUNC);
        while (k < 0 && errno == EINTR);
        if (k == 0 || (k < 0 && errno == ECONNRESET))
                return -ECONNRESET;
        if (k < 0)
                return err_born(-errno, "cannot receive from CRIU");
        if (k > (ssize_t)MESSAGE_MAX)
                return err_say(-EBADMSG, "CRIU sent a message of %zd bytes", k);
        response = rpc_response__unpack(NULL, (size_t)k, bytes);
        if (!response)
                return err_say(-EBADMSG, "CRIU sent an invalid message");
        *ret = response;
        return 0;
}

void criu_end(CriuProcess *process, uint64_t deadline, int *ret_status) {
        int status = 0;

        process->socket = fd_close(process->socket);
        if (process->pid > 0) {
                struct pollfd p = {.fd = process->pidfd, .events = POLLIN};
                int n;

                while ((n = process->pidfd >= 0 ? poll(&p, 1, deadline_ms(deadline)) : 0) < 0 &&
                       errno == EINTR)
                        ;
                if (n <= 0) {
                        (void)kill(process->pid, SIGKILL);
                        deadline = now_monotonic() + KILL_GRACE;
                        while ((n = process->pidfd >= 0 ? poll(&p, 1, deadline_ms(deadline)) : 1) < 0 &&
                               errno == EINTR)
                                ;
                }
                if (n > 0)
                        while (waitpid(process->pid, &status, 0) < 0 && errno == EINTR)
                                ;
                else
                        status = SIGKILL;
                process->pid = 0;
        }
        process->pidfd = fd_close(process->pidfd);
        if (ret_status)
                *ret_status = status;
}

void criu_process_done(CriuProcess *process) {
        int saved = errno;

        criu_end(process, 0, NULL);
        errno = saved;
}

char *criu_status_text(int status) {
        if (WIFSIGNALED(status))
                return text_format("it was killed by signal %d", WTERMSIG(status));
        if (WIFEXITED(status) && WEXITSTATUS(status) == CHILD_NOT_INSIDE)
                return text_format("its process could not enter the namespaces of the tree");
        if (WIFEXITED(status) && WEXITSTATUS(status) == CHILD_NO_OOM_SCORE)
                return text_format("its process could not reset its OOM score");
        if (WIFEXITED(status) && WEXITSTATUS(status) == CHILD_NO_CGROUP)
                return text_format("its process could not enter the cgroup");
        if (WIFEXITED(status) && WEXITSTATUS(status) == CHILD_NO_EXEC)
                return text_format("its program could not be executed");
        return text_format("it exited with %d", WIFEXITED(status) ? WEXITSTATUS(status) : -1);
}

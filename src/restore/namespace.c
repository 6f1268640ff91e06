/* SPDX-License-Identifier: GPL-2.0-or-later */

/*
 * The host's side of a restore in a namespace. CRIU looks at its client by /proc/PID/fd, so its client must
 * live where its /proc is: the job goes to carryover-init as a message and descriptors, and the init itself
 * asks CRIU.
 */

#include "restore/namespace.h"

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/err.h"
#include "base/fd.h"
#include "config-build.h"
#include "restore/answer.h"
#include "restore/init.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/wait.h>
#include <unistd.h>

#define ANSWER_GRACE (20 * USEC_PER_SEC) /* behind CRIU's own deadline, which may be 10 s late itself */
#define END_GRACE    (5 * USEC_PER_SEC)

static int job_file(const CriuJob *job, const Tree *tree) {
        InitJob m = INIT_JOB__INIT;
        _cleanup_(freep) char **keys = calloc(job->n_fds + 1, sizeof *keys);
        _cleanup_(freep) uint8_t *bytes = NULL;
        size_t size;

        if (!keys)
                return -ENOMEM;
        for (size_t i = 0; i < job->n_fds; i++)
                keys[i] = (char *)job->fds[i].key;
        m.criu = (char *)job->criu;
        m.shell_job = job->shell_job;
        m.lock_skip = job->lock_skip;
        m.has_barriers = job->saves.barriers;
        m.barriers = job->saves.barriers;
        m.has_tcp_close = job->tcp_close;
        m.tcp_close = job->tcp_close;
        m.timeout = job->timeout_usec;
        m.keys = keys;
        m.n_keys = job->n_fds;
        m.processes = tree->processes;
        m.n_processes = tree->n_processes;
        m.rights = tree->rights;
        m.n_rights = tree->n_rights;
        m.foreign = tree->foreign;
        m.n_foreign = tree->n_foreign;
        size = init_job__get_packed_size(&m);
        bytes = malloc(size ?: 1);
        if (!bytes)
                return -ENOMEM;
        init_job__pack(&m, bytes);
        return memfd_with("carryover-init-job", bytes, size);
}

/* Only async-signal-safe calls: the parent has threads. `fds` go to INIT_FD_JOB, ... in order; moved up
 * first, so that none is overwritten before it is placed. */
static void child_exec(int *fds, size_t n) {
        char *const argv[] = {(char *)"carryover-init", NULL};

        for (size_t i = 0; i < n; i++) {
                fds[i] = fcntl(fds[i], F_DUPFD_CLOEXEC, INIT_FD_JOB + (int)n);
                if (fds[i] < 0)
                        _exit(126);
        }
        for (size_t i = 0; i < n; i++)
                if (dup2(fds[i], INIT_FD_JOB + (int)i) < 0)
                        _exit(126);
        execv(LIBEXECDIR "/carryover-init", argv);
        _exit(127);
}

static int init_spawn(const CriuJob *job, const Tree *tree, int answer_fd, pid_t *ret) {
        _cleanup_(closep) int job_fd = job_file(job, tree);
        _cleanup_(freep) int *fds = calloc(INIT_FD_INHERIT - INIT_FD_JOB + job->n_fds, sizeof *fds);
        size_t n = 0;
        pid_t pid;

        if (job_fd < 0)
                return err_pass(job_fd);
        if (!fds)
                return -ENOMEM;
        fds[n++] = job_fd;
        fds[n++] = answer_fd;
        fds[n++] = job->images_fd;
        fds[n++] = job->cgroup_procs_fd;
        for (size_t i = 0; i < job->n_fds; i++)
                fds[n++] = job->fds[i].fd;
        pid = fork();
        if (pid < 0)
                return err_born(-errno, "cannot start carryover-init");
        if (pid == 0)
                child_exec(fds, n);
        *ret = pid;
        return 0;
}

static int wait_for_answer(int fd, uint64_t deadline) {
        struct pollfd p = {.fd = fd, .events = POLLIN};
        int n;

        while ((n = poll(&p, 1, deadline_ms(deadline))) < 0 && errno == EINTR)
                ;
        if (n < 0)
                return err_born(-errno, "cannot wait for carryover-init");
        return n > 0 ? 0 : err_say(-ETIMEDOUT, "carryover-init did not answer in time and was killed");
}

/* The starter tells the host's PID, the init how the restore went, in either order. *ret_host_pid is set if
 * it was told, whatever is returned: an init that has failed need not be through with its end. */
static int wait_for_answers(int fd, uint64_t deadline, pid_t *ret_host_pid) {
        ErrRecord why;
        int failed = 0;

        *ret_host_pid = 0;
        for (int i = 0; i < 2; i++) {
                InitAnswer *a = NULL;
                int r = wait_for_answer(fd, deadline);

                if (r >= 0)
                        r = init_answer_read(fd, &a);
                if (r == -ENODATA)
                        r = err_say(-EIO, "carryover-init exited without an answer");
                if (r >= 0 && a->error)
                        r = err_say(a->has_code && a->code < 0 ? a->code : -EIO, "%s", a->error);
                if (r >= 0 && a->has_host_pid)
                        *ret_host_pid = (pid_t)a->host_pid;
                if (r < 0 && !failed) {
                        failed = r;
                        why = err_keep();
                }
                if (!a)
                        break;
                model_free(a);
        }
        if (failed) {
                err_put_back(&why);
                return err_pass(failed);
        }
        return *ret_host_pid > 1 ? 0 : err_say(-EBADMSG, "carryover-init did not report its process number");
}

/* The kernel ends a whole namespace before its init is dead. A PID that is gone is not waited for. */
static bool init_end(pid_t starter, pid_t init) {
        _cleanup_(closep) int pidfd = init > 1 ? pidfd_open(init, 0) : -1;
        uint64_t deadline = now_monotonic() + END_GRACE;
        struct pollfd p = {.fd = pidfd, .events = POLLIN};
        int n;

        (void)kill(starter, SIGKILL);
        if (pidfd < 0)
                return true;
        (void)pidfd_send_signal(pidfd, SIGKILL, NULL, 0);
        while ((n = poll(&p, 1, deadline_ms(deadline))) < 0 && errno == EINTR)
                ;
        return n > 0;
}

int namespace_restore(const CriuJob *job, const Tree *tree, pid_t *ret_pid) {
        uint64_t deadline = now_monotonic() + job->timeout_usec + ANSWER_GRACE;
        _cleanup_(closep) int near = -1, far = -1;
        pid_t starter = -1, init;
        int pair[2], r;

        if (pipe2(pair, O_CLOEXEC) < 0)
                return err_born(-errno, "cannot create a pipe");
        near = pair[0];
        far = pair[1];
        r = init_spawn(job, tree, far, &starter);
        if (r < 0)
                return err_pass(r);
        far = fd_close(far);
        r = wait_for_answers(near, deadline, &init);
        if (r < 0) {
                ErrRecord why = err_keep();
                bool ended = init_end(starter, init);

                err_put_back(&why);
                if (!ended)
                        err_prefix(r, "the PID namespace of the tree cannot be ended; ");
        }
        while (waitpid(starter, NULL, 0) < 0 && errno == EINTR)
                ;
        if (r < 0)
                return err_pass(r);
        *ret_pid = init;
        return 0;
}

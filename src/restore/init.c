/* SPDX-License-Identifier: GPL-2.0-or-later */

/*
 * Two lives: the starter joins the tree's cgroup, makes the namespaces and forks; its child is PID 1 in
 * them. It mounts a /proc of its own, restores the tree by CRIU, and from then on only reaps, until nothing
 * is left. Everything in here may fail loudly: the answer goes to the restore that waits, and an init that
 * exits takes its half-built namespace with it.
 */

#include "restore/init.h"

#include "base/cleanup.h"
#include "base/err.h"
#include "base/fd.h"
#include "criu/criu.h"
#include "restore/answer.h"
#include "restore/process.h"
#include "rights/rights.h"

#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define JOB_MAX (16u << 20) /* as many processes as a tree may have, with an affinity each */

static int answer_error(int r) {
        InitAnswer a = INIT_ANSWER__INIT;

        a.error = (char *)err_text(r);
        a.has_code = true;
        a.code = r;
        (void)init_answer_write(INIT_FD_ANSWER, &a); /* the pipe's end says it as well */
        return EXIT_FAILURE;
}

static int job_read(InitJob **ret) {
        _cleanup_(freep) char *bytes = NULL;
        size_t size;
        int r;

        r = fd_slurp(INIT_FD_JOB, JOB_MAX, &bytes, &size);
        if (r < 0)
                return err_pass(r);
        *ret = init_job__unpack(NULL, size, (uint8_t *)bytes);
        return *ret ? 0 : err_say(-EBADMSG, "the job cannot be decoded");
}

/* Who does not wait any more takes it for lost, and may bring back a second one. */
static int check_waited_for(void) {
        struct pollfd p = {.fd = INIT_FD_ANSWER};

        return poll(&p, 1, 0) > 0 ? err_say(-EPIPE, "the restore that asked for it has ended") : 0;
}

/* As in tree.c. */
static int on_notify(const char *script, pid_t pid, void *userdata) {
        const InitJob *m = userdata;
        Tree had = TREE__INIT;
        int r;

        if (strcmp(script, "pre-resume") != 0)
                return 0;
        had.rights = m->rights;
        had.n_rights = m->n_rights;
        had.foreign = m->foreign;
        had.n_foreign = m->n_foreign;
        r = rights_check(&had, pid);
        return r < 0 ? err_pass(r) : check_waited_for();
}

static int restore_here(InitJob *m) {
        _cleanup_(freep) CriuFd *fds = calloc(m->n_keys + 1, sizeof *fds);
        pid_t pid;

        if (!fds)
                return -ENOMEM;
        for (size_t i = 0; i < m->n_keys; i++)
                fds[i] = (CriuFd){.key = m->keys[i], .fd = INIT_FD_INHERIT + (int)i};
        return criu_restore(
                        &(CriuJob){
                                        .criu = m->criu,
                                        .preload = CRIU_PRELOAD,
                                        .images_fd = INIT_FD_IMAGES,
                                        .shell_job = m->shell_job,
                                        .lock_skip = m->lock_skip,
                                        .saves.barriers = m->has_barriers && m->barriers,
                                        .tcp_close = m->tcp_close,
                                        .fds = fds,
                                        .n_fds = m->n_keys,
                                        .timeout_usec = m->timeout,
                                        .cgroup_procs_fd = -1,
                                        .notify = on_notify,
                                        .userdata = m,
                        },
                        &pid);
}

/* /proc is mounted over the host's in a mount namespace that still receives the host's mounts, so that the
 * tree sees them come. */
static int mount_proc(void) {
        if (mount(NULL, "/", NULL, MS_REC | MS_SLAVE, NULL) < 0)
                return err_born(-errno, "cannot detach the mounts of the namespace");
        if (mount("proc", "/proc", "proc", MS_NOSUID | MS_NODEV | MS_NOEXEC, NULL) < 0)
                return err_born(-errno, "cannot mount /proc in the namespace");
        return 0;
}

static void close_all(void) {
        (void)close_range(INIT_FD_JOB, ~0u, 0);
}

static int init_child(void) {
        InitAnswer done = INIT_ANSWER__INIT;
        InitJob *job = NULL;
        int r;

        prctl(PR_SET_NAME, "carryover-init");
        if (setsid() < 0)
                return answer_error(err_born(-errno, "cannot start a session"));
        r = mount_proc();
        if (r >= 0)
                r = job_read(&job);
        if (r >= 0)
                r = restore_here(job);
        if (r >= 0)
                processes_adjust(job->processes, job->n_processes);
        model_free(job);
        if (r < 0)
                return answer_error(r);
        r = init_answer_write(INIT_FD_ANSWER, &done);
        close_all();
        if (r < 0)
                return EXIT_FAILURE;
        for (;;)
                if (waitpid(-1, NULL, 0) < 0 && errno == ECHILD)
                        return EXIT_SUCCESS;
}

int init_run(void) {
        InitAnswer a = INIT_ANSWER__INIT;
        pid_t pid;

        for (int fd = INIT_FD_JOB; fd <= INIT_FD_PROCS; fd++)
                if (fcntl(fd, F_GETFD) < 0)
                        return EXIT_FAILURE;
        if (write(INIT_FD_PROCS, "0", 1) < 0)
                return answer_error(err_born(-errno, "cannot join the scope of the tree"));
        if (unshare(CLONE_NEWPID | CLONE_NEWNS) < 0)
                return answer_error(err_born(-errno, "cannot create a PID namespace"));
        pid = fork();
        if (pid < 0)
                return answer_error(err_born(-errno, "cannot start the init of the namespace"));
        if (pid == 0)
                _exit(init_child());
        a.has_host_pid = true;
        a.host_pid = (uint32_t)pid;
        return init_answer_write(INIT_FD_ANSWER, &a) < 0 ? EXIT_FAILURE : EXIT_SUCCESS;
}

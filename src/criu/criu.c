/* SPDX-License-Identifier: GPL-2.0-or-later */

/*
 * Dump and restore. Who may stop what, and when:
 *
 *  - A dump can be taken back until post-dump is answered with yes. Only CRIU can do that: it has code of
 *    its own in the tree, and the threads' registers in its memory. With SIGKILL at random moments, one tree
 *    in ten ran into that code and died of SIGTRAP, and as many connections stayed in TCP repair mode. So at
 *    the deadline CRIU's next question gets a no, which makes it put the tree back. A CRIU that asks nothing
 *    gets SIGALRM: its own handler then makes the system call that it hangs in fail. SIGKILL comes last, and
 *    mend.c then repairs what can be repaired.
 *  - CRIU does not kill the tree, we do. A CRIU that is asked to kill it takes the unread bytes out of the
 *    terminals and sets O_NONBLOCK on both ends before it asks post-dump. A no does not put them back: a
 *    program that reads its terminal then fails with EAGAIN. A CRIU that is asked to leave the tree stopped
 *    tidies up at once.
 *  - With the yes to post-dump the tree has to die, whatever becomes of CRIU: the caller may have promised
 *    that it comes back, and it must not live twice. So it dies before CRIU hears the yes. CRIU then finds
 *    nobody to leave stopped. What it says of this does not matter: by then cr-dump.c has passed what it
 *    undoes for a dump that has failed.
 *  - A restore can be taken back until post-restore is answered with yes. Nothing has run before, nor at
 *    pre-resume, where all is as it will be. A no to pre-resume is kept by killing the tree, at the cost of
 *    its connections. At the deadline the restore's processes are killed. CRIU sees that and ends by itself,
 *    and undoes what it put on disk.
 *  - The time that the caller's notify function takes (it syncs images) is its own and moves the deadline.
 */

#include "criu/criu.h"

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/err.h"
#include "base/fault.h"
#include "base/fd.h"
#include "base/text.h"
#include "criu/internal.h"
#include "image/image.h"
#include "image/remap.h"
#include "proc/ns.h"
#include "proc/process-tree.h"
#include "systemd/cgroup.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

/* A slow dump comes to its next question within this; a large one writes about 250 MB a second. */
#define REFUSE_GRACE (6 * USEC_PER_SEC)
/* CRIU's handler interrupts once a second, and aborts at the sixth time. */
#define INTERRUPT_GRACE (4 * USEC_PER_SEC)
/* How often the size of the images is looked at: as long as a fast disk writes 100 MB. */
#define LOOK_USEC (50 * USEC_PER_MSEC)
/* For CRIU to end after its last word, or after its children were killed. */
#define EXIT_GRACE (5 * USEC_PER_SEC)
/* Everything but the contents of messages: enough for the reports of users. */
#define LOG_LEVEL 4

/* Logs of earlier tries that are kept. */
#define OLD_LOGS_MAX 9u

typedef struct Run {
        const CriuJob *job;
        RpcKind kind;
        CriuProcess process;
        uint64_t deadline;
        bool expired;     /* from here on every question gets a no */
        bool interrupted; /* the last kind means are used up */
        bool committed;   /* post-dump was answered with yes */
        pid_t *tree;      /* dump: who has to die then */
        size_t n_tree;
        const char *const *environment; /* CRIU's, beyond its own */
        int refused;                    /* what notify returned, if negative */
        pid_t pid;                      /* of the restored root, once CRIU told it */
} Run;

static const char *log_name(RpcKind kind) {
        return kind == RPC_KIND__DUMP ? "dump.log" : "restore.log";
}

static const char *verb(RpcKind kind) {
        return kind == RPC_KIND__DUMP ? "save" : "restore";
}

static double seconds(const Run *run) {
        return (double)run->job->timeout_usec / USEC_PER_SEC;
}

/* Only what the header promises reaches the caller; CRIU asks more ("setup-namespaces"), and later versions
 * will. */
static bool is_promised(RpcKind kind, const char *script) {
        static const char *const at_dump[] = {"query-ext-files", "pre-dump", "post-dump"};
        static const char *const at_restore[] = {"pre-restore", "post-restore", "pre-resume", "post-resume"};
        const char *const *list = kind == RPC_KIND__DUMP ? at_dump : at_restore;
        size_t n = kind == RPC_KIND__DUMP ? ELEMENTS(at_dump) : ELEMENTS(at_restore);

        for (size_t i = 0; i < n; i++)
                if (strcmp(script, list[i]) == 0)
                        return true;
        return false;
}

/* CRIU goes on whatever it is told before it lets the tree go: so the tree is gone. */
static void prevent(const Run *run) {
        ErrRecord kept = err_keep();
        pid_t *pids = NULL;
        size_t n;

        if (run->pid > 0 && process_tree_list(run->pid, &pids, &n) >= 0)
                processes_kill(pids, n);
        free(pids);
        err_put_back(&kept);
}

/* Now, while CRIU still holds the tree: whatever becomes of CRIU from here on, it would run for a moment if
 * it were let go. */
static void commit(Run *run) {
        run->committed = true;
        processes_kill(run->tree, run->n_tree);
        (void)fault_point("save:committed"); /* nothing can fail any more, but everything can die */
}

/* The caller's answer, and for a dump's last question what we need to keep our word. */
static int ask_caller(Run *run, const char *script) {
        bool last = run->kind == RPC_KIND__DUMP && strcmp(script, "post-dump") == 0;
        int r = 0;

        if (last)
                r = process_tree_list(run->job->pid, &run->tree, &run->n_tree);
        if (r >= 0 && run->job->notify && is_promised(run->kind, script))
                r = run->job->notify(script, run->pid, run->job->userdata);
        if (r >= 0 && last)
                commit(run);
        if (r < 0 && strcmp(script, "pre-resume") == 0)
                prevent(run);
        return r < 0 ? r : 0;
}

static int answer_notify(Run *run, const RpcNotify *notify) {
        RpcRequest answer = RPC_REQUEST__INIT;
        const char *script = notify && notify->script ? notify->script : "";

        if (notify && notify->has_pid && notify->pid > 0)
                run->pid = notify->pid;
        if (!run->expired && run->refused == 0) {
                uint64_t begin = now_monotonic();

                run->refused = ask_caller(run, script);
                run->deadline += now_monotonic() - begin;
        }
        answer.type = RPC_KIND__NOTIFY;
        answer.has_notify_success = true;
        answer.notify_success = !run->expired && run->refused == 0;
        return criu_send(&run->process, &answer);
}

/* The deadline has passed: 0 to go on listening for a while, or -ETIMEDOUT. */
static int expire(Run *run) {
        if (run->interrupted)
                return -ETIMEDOUT;
        if (run->kind == RPC_KIND__DUMP && !run->expired) {
                run->deadline = now_monotonic() + REFUSE_GRACE;
        } else if (run->kind == RPC_KIND__DUMP) {
                (void)kill(run->process.pid, SIGALRM);
                run->interrupted = true;
                run->deadline = now_monotonic() + INTERRUPT_GRACE;
        } else {
                process_kill_descendants(run->process.pid);
                run->interrupted = true;
                run->deadline = now_monotonic() + EXIT_GRACE;
        }
        run->expired = true;
        return 0;
}

/* Looked at while CRIU writes: when it is through, the disk that others need may be full. */
static void bound(Run *run) {
        static const struct rlimit nothing = {0, 0};

        if (run->kind != RPC_KIND__DUMP || run->job->max_bytes == 0 || run->refused < 0 ||
            images_bytes(run->job->images_fd) <= run->job->max_bytes)
                return;
        (void)prlimit(run->process.pid, RLIMIT_FSIZE, &nothing, NULL);
        run->refused = err_say(-EDQUOT, "the images exceed the %llu MiB that are left for the user",
                               (unsigned long long)(run->job->max_bytes >> 20));
}

static int listen_to(Run *run, RpcResponse **ret) {
        for (;;) {
                uint64_t look = now_monotonic() + LOOK_USEC;
                int r = criu_receive(&run->process, look < run->deadline ? look : run->deadline, ret);

                bound(run);
                if (r != -ETIMEDOUT || now_monotonic() >= run->deadline)
                        return r;
        }
}

/* Until CRIU's last word. -ETIMEDOUT and -ECONNRESET have no sentence yet. */
static int converse(Run *run, RpcResponse **ret) {
        for (;;) {
                _cleanup_(rpc_response_freep) RpcResponse *response = NULL;
                int r = listen_to(run, &response);

                if (r == -ETIMEDOUT)
                        r = expire(run);
                if (r < 0)
                        return r;
                if (!response)
                        continue;
                if (response->type != RPC_KIND__NOTIFY) {
                        *ret = TAKE(response);
                        return 0;
                }
                r = answer_notify(run, response->notify);
                if (r < 0)
                        return err_pass(r);
        }
}

static int fill_externals(const CriuJob *job, RpcOptions *options) {
        for (size_t i = 0; job->externals && job->externals[i]; i++)
                if (model_append(options->external, options->n_external, (char *)job->externals[i]) < 0)
                        return -ENOMEM;
        return 0;
}

static int fill_fds(const CriuJob *job, RpcInheritFd *fds, RpcOptions *options) {
        for (size_t i = 0; i < job->n_fds; i++) {
                rpc_inherit_fd__init(&fds[i]);
                fds[i].key = (char *)job->fds[i].key;
                fds[i].fd = job->fds[i].fd;
                if (model_append(options->inherit_fd, options->n_inherit_fd, &fds[i]) < 0)
                        return -ENOMEM;
        }
        return 0;
}

#define SET(options, field, value)                                                                          \
        do {                                                                                                \
                (options)->has_##field = true;                                                              \
                (options)->field = (value);                                                                 \
        } while (0)

static void fill_options(const Run *run, RpcOptions *options) {
        const CriuJob *job = run->job;

        options->images_dir_fd = job->images_fd;
        options->log_file = (char *)log_name(run->kind);
        SET(options, log_level, LOG_LEVEL);
        SET(options, notify_scripts, true);
        SET(options, ext_unix_sk, true);
        SET(options, tcp_established, true);
        SET(options, file_locks, true);
        SET(options, link_remap, true);
        SET(options, shell_job, job->shell_job);
        SET(options, manage_cgroups_mode, RPC_CGROUP_MODE__IGNORE);
        SET(options, network_lock, job->lock_skip ? RPC_NETWORK_LOCK__SKIP : RPC_NETWORK_LOCK__NFTABLES);
        if (job->ghost_limit > 0)
                SET(options, ghost_limit,
                    job->ghost_limit > CRIU_GHOST_MAX ? CRIU_GHOST_MAX : (uint32_t)job->ghost_limit);
        if (run->kind == RPC_KIND__DUMP) {
                SET(options, pid, job->init > 0 ? job->own_pid : job->pid);
        } else {
                SET(options, tcp_close, job->tcp_close);
        }
}

static int ask(const Run *run) {
        _cleanup_(freep) RpcInheritFd *fds = NULL;
        RpcOptions options = RPC_OPTIONS__INIT;
        RpcRequest request = RPC_REQUEST__INIT;
        int r = 0;

        fill_options(run, &options);
        if (run->kind == RPC_KIND__DUMP) {
                r = fill_externals(run->job, &options);
        } else {
                fds = calloc(run->job->n_fds + 1, sizeof *fds);
                r = fds ? fill_fds(run->job, fds, &options) : -ENOMEM;
        }
        if (r >= 0) {
                request.type = run->kind;
                request.opts = &options;
                r = criu_send(&run->process, &request);
        }
        free(options.external);
        free(options.inherit_fd);
        return r < 0 ? err_pass(r) : 0;
}

/*
 * A root that leads no session (a job whose shell has exited) joins the session and group of CRIU itself,
 * which would be ours: a `kill 0` in it would reach us. So CRIU gets a session of its own, and if it can be
 * the number of the leader that is gone: then the job is in the session and group that it always was in,
 * whose leader is gone again when CRIU ends. 0: no such root.
 */
static int lost_session(const Run *run, pid_t *ret) {
        uint32_t pid, sid;
        int r;

        *ret = 0;
        if (run->kind != RPC_KIND__RESTORE || !run->job->shell_job)
                return 0;
        r = image_root(run->job->images_fd, &pid, &sid);
        if (r < 0)
                return err_pass(r);
        if (sid != pid)
                *ret = sid > 0 ? (pid_t)sid : 1; /* 1 is never free: any number will do */
        return 0;
}

/* An old log must not explain a new failure; but why the first of several tries failed must stay known. */
static void log_put_aside(int images_fd, const char *log) {
        char old[32];
        int r = -1;

        for (unsigned i = 1; r < 0 && i <= OLD_LOGS_MAX; i++) {
                snprintf(old, sizeof old, "%s.%u", log, i);
                r = renameat2(images_fd, log, images_fd, old, RENAME_NOREPLACE);
                if (r < 0 && errno != EEXIST)
                        break;
        }
        if (r < 0)
                (void)unlinkat(images_fd, log, 0);
}

static int start(Run *run) {
        static const char *const leave_stopped[] = {"--leave-stopped", NULL};
        const CriuJob *job = run->job;
        _cleanup_(closep) int out = -1, inside = -1;
        pid_t session;
        int r;

        r = lost_session(run, &session);
        if (r >= 0 && run->kind == RPC_KIND__DUMP && job->init > 0)
                r = ns_open_tree_of(job->init, job->pid, job->own_pid, &inside);
        if (r < 0)
                return err_pass(r);
        log_put_aside(job->images_fd, log_name(run->kind));
        out = openat(job->images_fd, "criu.out", O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC | O_NOFOLLOW,
                     0600);
        if (out < 0)
                return err_born(-errno, "cannot write to the image directory");
        r = criu_spawn(&(CriuSpawn){.criu = job->criu,
                                    .options = run->kind == RPC_KIND__DUMP ? leave_stopped : NULL,
                                    .fds = job->fds,
                                    .n_fds = run->kind == RPC_KIND__RESTORE ? job->n_fds : 0,
                                    .output_fd = out,
                                    .environment = run->environment,
                                    .plain_oom_score = run->kind == RPC_KIND__RESTORE,
                                    .is_bounded = run->kind == RPC_KIND__DUMP,
                                    .session = session,
                                    .inside = inside,
                                    .images_fd = job->images_fd,
                                    .mask = run->kind == RPC_KIND__DUMP ? 077 : 0,
                                    .cgroup_procs_fd = job->cgroup_procs_fd},
                       &run->process);
        if (r < 0)
                return err_pass(r);
        run->deadline = now_monotonic() + job->timeout_usec;
        return 0;
}

/* The sentence for a failure that CRIU itself reports or dies of. */
static int explain(const Run *run, int r, const char *otherwise) {
        _cleanup_(freep) char *reason = NULL;

        (void)criu_log_error(run->job->images_fd, log_name(run->kind), &reason);
        if (reason && *reason)
                return err_say(r, "CRIU cannot %s the tree: %s", verb(run->kind), reason);
        return err_say(r, "CRIU cannot %s the tree: %s", verb(run->kind),
                       otherwise ? otherwise : "no reason given");
}

/* CRIU said nothing any more, by hanging or by dying. 0: it does not matter any more. */
static int end_badly(Run *run, int r) {
        _cleanup_(freep) char *fate = NULL;
        int status, mended = 0;

        if (r == -ETIMEDOUT && run->kind == RPC_KIND__RESTORE)
                process_kill_descendants(run->process.pid);
        criu_end(&run->process, r == -ETIMEDOUT ? 0 : now_monotonic() + EXIT_GRACE, &status);
        if (run->committed)
                return 0;
        if (run->kind == RPC_KIND__DUMP)
                mended = criu_tree_mend(run->job->pid);
        if (mended < 0)
                return err_pass(mended);
        if (run->refused < 0)
                return run->refused;
        if (run->expired)
                return err_say(-ETIMEDOUT, "CRIU did not %s the tree within %.1f s and was killed",
                               verb(run->kind), seconds(run));
        if (r != -ECONNRESET)
                return r;
        fate = criu_status_text(status);
        return explain(run, -EIO, fate);
}

static int judge(const Run *run, const RpcResponse *response) {
        if (run->committed)
                return 0;
        if (run->refused < 0)
                return run->refused; /* with the sentence of the caller's own */
        if (response->success && response->type == run->kind)
                return 0;
        if (run->expired)
                return err_say(-ETIMEDOUT, "CRIU did not %s the tree within %.1f s", verb(run->kind),
                               seconds(run));
        if (run->kind == RPC_KIND__DUMP)
                return explain(run, -EAGAIN, response->cr_errmsg);
        /* Above 4095 is no errno. */
        if (response->has_cr_errno && response->cr_errno > 0 && response->cr_errno < 4096)
                return explain(run, -response->cr_errno, response->cr_errmsg);
        return explain(run, -EIO, response->cr_errmsg);
}

static int run_job(Run *run, RpcResponse **ret) {
        _cleanup_(rpc_response_freep) RpcResponse *response = NULL;
        int r;

        r = start(run);
        if (r < 0)
                return err_pass(r);
        r = ask(run);
        if (r >= 0)
                r = converse(run, &response);
        if (r < 0)
                return err_pass(end_badly(run, r));
        criu_end(&run->process, now_monotonic() + EXIT_GRACE, NULL);
        r = judge(run, response);
        if (r < 0)
                return err_pass(r);
        *ret = TAKE(response);
        return 0;
}

static void add_word(const char **environment, const char *word) {
        while (*environment)
                environment++;
        *environment = word;
}

int criu_dump(const CriuJob *job) {
        _cleanup_(rpc_response_freep) RpcResponse *response = NULL;
        Run run = {.job = job, .kind = RPC_KIND__DUMP, .process = CRIU_PROCESS_NONE};
        const char *environment[CRIU_WORDS + 1] = {NULL};
        CriuTerminals none;
        int r;

        r = criu_terminals_open(job, &none); /* where nothing is saved yet, there are none */
        if (r < 0)
                return err_pass(r);
        environment[0] = none.environment[0];
        if (!job->saves.stops)
                add_word(environment, "CARRYOVER_STOPS=all");
        if (!job->saves.rseq)
                add_word(environment, "CARRYOVER_RSEQ=all");
        run.environment = environment;
        r = run_job(&run, &response);
        if (r >= 0 && run.n_tree > 0)
                r = processes_wait(run.tree, run.n_tree, now_monotonic() + EXIT_GRACE);
        free(run.tree);
        return r < 0 ? err_pass(r) : 0;
}

static int restore_once(const CriuJob *job, const CriuTerminals *terminals, pid_t *ret_pid) {
        _cleanup_(rpc_response_freep) RpcResponse *response = NULL;
        const char *environment[CRIU_WORDS + 1] = {terminals->environment[0], terminals->environment[1]};
        Run run = {.job = job,
                   .kind = RPC_KIND__RESTORE,
                   .process = CRIU_PROCESS_NONE,
                   .environment = environment};
        int r;

        if (!job->saves.barriers)
                add_word(environment, "CARRYOVER_BARRIERS=all");
        r = run_job(&run, &response);
        if (r < 0)
                return err_pass(r);
        if (!response || !response->restore || response->restore->pid <= 0)
                return err_say(-EBADMSG, "CRIU restored the tree, but did not report its process number");
        *ret_pid = response->restore->pid;
        return 0;
}

/* As carryover-init, with nobody else in the namespace. */
static int children_end(void) {
        uint64_t deadline = now_monotonic() + EXIT_GRACE;
        const struct timespec pause = {.tv_nsec = 10000000};
        pid_t pid;

        (void)kill(-1, SIGKILL);
        while ((pid = waitpid(-1, NULL, WNOHANG)) >= 0) {
                if (pid == 0 && now_monotonic() > deadline)
                        return -ETIMEDOUT;
                if (pid == 0)
                        (void)nanosleep(&pause, NULL);
        }
        return 0;
}

/* CRIU kills the children of a restore that fails and does not wait for them. One that is still at work
 * collides with the next try, which makes the same files and asks for the same numbers: "Can't create
 * ghost regfile: File exists". They are told by their number and their cgroup: both free before the try. */
static int remains_end(const CriuJob *job) {
        _cleanup_(freep) uint32_t *saved = NULL;
        _cleanup_(freep) pid_t *inside = NULL;
        size_t n_saved, n_inside, n = 0;
        int r;

        if (getpid() == 1)
                return children_end();
        if (job->cgroup_procs_fd < 0)
                return 0;
        r = image_processes(job->images_fd, &saved, &n_saved);
        if (r >= 0)
                r = cgroup_procs_pids(job->cgroup_procs_fd, &inside, &n_inside);
        if (r < 0)
                return err_pass(r);
        for (size_t i = 0; i < n_inside; i++)
                if (image_has_number(saved, n_saved, (uint32_t)inside[i]))
                        inside[n++] = inside[i];
        processes_kill(inside, n);
        return processes_wait(inside, n, now_monotonic() + EXIT_GRACE);
}

static int restore_and_sweep(const CriuJob *job, const CriuTerminals *terminals, pid_t *ret_pid) {
        _cleanup_(remaps_done) Remaps remaps = {0};
        int r;

        r = remaps_rename_taken(job->images_fd);
        if (r >= 0)
                r = remaps_load(job->images_fd, &remaps);
        if (r >= 0)
                r = remaps_check(&remaps);
        if (r < 0)
                return err_pass(r);
        r = restore_once(job, terminals, ret_pid);
        if (r < 0) {
                ErrRecord kept = err_keep();
                bool ended = remains_end(job) >= 0;

                err_put_back(&kept);
                if (!ended)
                        err_prefix(r, "its partly restored processes cannot be killed; ");
        }
        remaps_sweep(&remaps, r < 0);
        return r < 0 ? err_pass(r) : 0;
}

int criu_restore(const CriuJob *job, pid_t *ret_pid) {
        CriuTerminals terminals;
        bool in_the_way;
        int r;

        r = criu_terminals_open(job, &terminals);
        if (r < 0)
                return err_pass(r);
        r = restore_and_sweep(job, &terminals, ret_pid);
        in_the_way = r == -EIO && !criu_terminals_are_used(&terminals);
        criu_terminals_close(&terminals);
        if (in_the_way) /* they are free now */
                r = restore_and_sweep(job, &terminals, ret_pid);
        return r < 0 ? err_pass(r) : 0;
}

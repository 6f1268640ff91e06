/* SPDX-License-Identifier: GPL-2.0-or-later */

/*
 * One tree, in the order in which things can still be refused: what costs nothing if it fails comes first,
 * CRIU last. Until CRIU has let the tree run, a failure leaves nothing but the images.
 */

#include "restore/restore.h"

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/err.h"
#include "base/fault.h"
#include "base/fd.h"
#include "criu/exec-bit.h"
#include "image/remap.h"
#include "netlink/network.h"
#include "restore/huge.h"
#include "restore/images.h"
#include "restore/namespace.h"
#include "restore/needs.h"
#include "restore/outside.h"
#include "restore/process.h"
#include "restore/running.h"
#include "restore/terminals.h"
#include "restore/turn.h"
#include "rights/rights.h"

#include <inttypes.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

typedef struct Work {
        const RestoreJob *job;
        Tree *tree;
        int home_fd;    /* in the store */
        int images_fd;  /* what CRIU reads: the same, or in memory, decrypted; -1: not known to be whole */
        bool encrypted; /* in the store */
        bool tcp_close; /* its network did not come */
        int procs_fd;   /* of its scope; the caller's */
        Turn turn;
        Terminals terminals;
        Outside outside;
} Work;

static void work_done(Work *w) {
        outside_close(&w->outside);
        terminals_close(&w->terminals);
        turn_end(&w->turn);
        fd_close(w->images_fd);
        fd_close(w->home_fd);
}

static int take_images(Work *w) {
        StepClock clock = step_begin();
        int r;

        r = images_check(&w->job->keys, w->tree, w->home_fd);
        if (r >= 0)
                r = w->images_fd = images_readable(&w->job->keys, w->tree, w->home_fd, true);
        step_end(w->job->timeline, "restore.check", w->tree->name, clock);
        return r < 0 ? err_pass(r) : 0;
}

static int told_to_stop(const RestoreJob *job) {
        struct pollfd p = {.fd = job->stop_fd, .events = POLLIN};

        return poll(&p, 1, 0) > 0 ? err_say(-ECANCELED, "the wait for another tree was cancelled") : 0;
}

/* The CRIU of a start before this one may still be at work. */
static int take_turn(Work *w) {
        _cleanup_(remaps_done) Remaps remaps = {0};
        int r, stop;

        r = remaps_load(w->images_fd, &remaps);
        if (r < 0)
                return err_pass(r);
        if (remaps.n == 0)
                return 0;
        turn_take(w->job->turns, &remaps, &w->turn);
        r = told_to_stop(w->job);
        if (r < 0)
                return err_pass(r);
        r = criu_wait_orphans(w->job->config->criu, now_monotonic() + w->job->config->criu_usec);
        stop = told_to_stop(w->job); /* that may have taken a while: who is told to stop begins nothing */
        return stop < 0 ? err_pass(stop) : err_pass(r);
}

/* From here on it is never started again. */
static int begin(Work *w) {
        int r = store_tree_begin(w->home_fd);

        if (r >= 0)
                r = fault_point("restore:begun");
        if (r >= 0 && !w->encrypted)
                r = store_tree_keep_sealed(w->home_fd);
        return r < 0 ? err_pass(r) : 0;
}

/* A number is taken if /proc answers for it: processes and threads alike, zombies too. */
static uint32_t first_taken(const Tree *tree) {
        char path[32];

        for (size_t i = 0; i < tree->n_ids; i++) {
                snprintf(path, sizeof path, "/proc/%u", tree->ids[i]);
                if (access(path, F_OK) >= 0)
                        return tree->ids[i];
        }
        return 0;
}

static int in_host(Work *w, const CriuJob *criu) {
        uint32_t taken = first_taken(w->tree);
        pid_t pid;
        int r;

        if (taken)
                return err_say(-EEXIST, "process number %u is in use", taken);
        r = criu_restore(criu, &pid);
        if (r < 0)
                return err_pass(r);
        processes_adjust(w->tree->processes, w->tree->n_processes);
        return running_outcome(w->tree, "host", pid);
}

static int in_namespace(Work *w, CriuJob *criu) {
        pid_t pid;
        int r;

        terminals_close(&w->terminals); /* carryover-init makes them again */
        criu->masters = NULL;
        criu->n_masters = 0;
        r = namespace_restore(criu, w->tree, &pid);
        if (r < 0)
                return err_pass(r);
        (void)fault_point("restore:running"); /* as in on_notify() */
        running_note(w->home_fd, w->tree, "namespace", pid);
        return running_outcome(w->tree, "namespace", pid);
}

static int in_host_or_namespace(Work *w, CriuJob *criu) {
        const PidMode mode = w->job->config->pid_mode;
        _cleanup_(freep) char *why = NULL;
        int r;

        if (mode == PID_MODE_NAMESPACE)
                return in_namespace(w, criu);
        r = in_host(w, criu);
        if (r == -EEXIST && mode == PID_MODE_HOST)
                return err_prefix(r, "PidMode=host does not allow a PID namespace, and ");
        if (r != -EEXIST)
                return r < 0 ? err_pass(r) : 0;
        why = strdup(err_text(r));
        r = in_namespace(w, criu);
        if (r >= 0)
                (void)tree_degrade(w->tree, "pid-namespace", "run `carryover enter` for a shell on the host",
                                   "the tree runs in its own PID namespace: %s", why ?: "out of memory");
        return r < 0 ? err_pass(r) : 0;
}

/* When CRIU has made the tree, in the last moment before it runs, and in the first. */
static int on_notify(const char *script, pid_t pid, void *userdata) {
        const Work *w = userdata;

        if (strcmp(script, "post-restore") == 0)
                return fault_point("restore:made");
        if (strcmp(script, "post-resume") == 0) {
                (void)fault_point("restore:running"); /* too late for an error, not for our death */
                running_note(w->home_fd, w->tree, "host", pid);
        }
        return strcmp(script, "pre-resume") == 0 ? err_pass(rights_check(w->tree, pid)) : 0;
}

static int run_criu(Work *w) {
        CriuJob criu = {
                        .criu = w->job->config->criu,
                        .preload = CRIU_PRELOAD,
                        .images_fd = w->images_fd,
                        .shell_job = w->tree->has_shell_job && w->tree->shell_job,
                        .lock_skip = w->job->features->lock_skip,
                        .saves = w->job->features->saves,
                        .tcp_close = w->tcp_close,
                        .fds = w->outside.fds,
                        .n_fds = w->outside.n,
                        .masters = w->terminals.masters,
                        .n_masters = w->terminals.n,
                        .timeout_usec = w->job->config->criu_usec,
                        .cgroup_procs_fd = w->procs_fd,
                        .notify = on_notify,
                        .userdata = w,
        };
        int r = fault_point("restore:before-criu");

        return r < 0 ? err_pass(r) : in_host_or_namespace(w, &criu);
}

static int make(Work *w) {
        StepClock clock = step_begin();
        uint64_t missing;
        int r, end;

        r = outside_open(w->job, w->tree, &w->outside);
        if (r < 0)
                return err_pass(r);
        missing = huge_begin(w->tree);
        r = network_mtu_begin(w->tree);
        if (r >= 0)
                r = run_criu(w);
        huge_end(w->tree);
        if (r < 0 && missing > 0)
                err_prefix(r, "%" PRIu64 " huge pages could not be made: ", missing);
        end = network_mtu_end(w->tree);
        if (r >= 0 && end < 0)
                (void)tree_degrade(w->tree, "segment-size", "remove the route with ip route del", "%s",
                                   err_text(end));
        step_end(w->job->timeline, "restore.criu", w->tree->name, clock);
        return r < 0 ? err_pass(r) : 0;
}

static int bring_back(Work *w) {
        int r;

        if (w->job->files->r < 0) {
                err_put_back(w->job->files);
                return err_pass(w->job->files->r);
        }
        if (store_tree_begun(w->home_fd)) /* before its peers wait for the network, too */
                return running_adopt(w->job, w->home_fd, w->tree);
        r = take_images(w);
        if (r >= 0)
                r = needs_wait(w->job, w->tree, &w->tcp_close);
        if (r >= 0)
                r = w->job->ready(w->tree, &w->procs_fd, w->job->userdata);
        if (r >= 0)
                r = take_turn(w);
        if (r >= 0)
                r = begin(w);
        if (r >= 0)
                r = terminals_take(w->job->ptys, w->tree, w->images_fd, &w->terminals);
        if (r >= 0)
                r = make(w);
        return r < 0 ? err_pass(r) : 0;
}

/* Nobody needs those of images in memory but who asks why. */
static void keep_logs(const Work *w) {
        ErrRecord kept = err_keep();

        if (w->images_fd >= 0 && w->encrypted)
                (void)criu_keep_logs(w->images_fd, w->home_fd);
        err_put_back(&kept);
}

/* What it, or a try before it, has left in the directories of its files. Another tree may be about to make
 * files of the same names. */
static void sweep_files(Work *w) {
        int images_fd = w->images_fd >= 0 ? w->images_fd : w->home_fd;
        _cleanup_(remaps_done) Remaps remaps = {0};
        Sweep sweep = by_inode_sweep_begin();
        ErrRecord kept = err_keep();

        exec_bits_return_files(w->tree, &sweep);
        if (!w->turn.turns && remaps_load(images_fd, &remaps) >= 0 && remaps.n > 0)
                turn_take(w->job->turns, &remaps, &w->turn);
        remaps_sweep_images(images_fd, true); /* those that it cannot read it leaves */
        err_put_back(&kept);
}

int restore_tree(const RestoreJob *job, Tree *tree) {
        _cleanup_(work_done) Work w = {.job = job,
                                       .tree = tree,
                                       .home_fd = store_tree_open(job->store, tree->name),
                                       .images_fd = -1,
                                       .procs_fd = -1};
        int r;

        if (w.home_fd < 0)
                return err_pass(w.home_fd);
        w.encrypted = images_are_boxes(tree, w.home_fd);
        exec_bits_lend_files(tree); /* a try that failed has given it back */
        r = bring_back(&w);
        keep_logs(&w);
        if (r >= 0)
                exec_bits_return(tree, (pid_t)tree->outcome->root_pid);
        else if (r != -ECANCELED) /* then nothing of it has begun */
                sweep_files(&w);
        return r < 0 ? err_pass(r) : 0;
}

bool restore_abandon(const Store *store, const ImageKeys *keys, const Tree *tree, Sweep *sweep) {
        _cleanup_(closep) int home_fd = store_tree_open(store, tree->name), images_fd = -1;

        exec_bits_return_files(tree, sweep);
        if (home_fd >= 0)
                images_fd = images_readable(keys, tree, home_fd, false);
        if (images_fd >= 0)
                remaps_sweep_images(images_fd, true);
        return home_fd >= 0 && store_tree_begun(home_fd);
}

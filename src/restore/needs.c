/* SPDX-License-Identifier: GPL-2.0-or-later */

#include "restore/needs.h"

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/err.h"
#include "kernel/apparmor.h"
#include "kernel/cpu.h"
#include "kernel/mounts.h"
#include "netlink/network.h"

#include <string.h>

/* The network did not come, the sentence says what of it. Without connections a tree needs what it listens
 * on, and no more. */
static int do_without_connections(Tree *tree) {
        _cleanup_(freep) char *why = strdup(err_text(-ETIMEDOUT));
        Tree rest = *tree;
        int r;

        rest.n_connections = 0;
        r = network_wait(&rest, now_monotonic(), -1);
        if (r >= 0)
                r = tree_degrade(tree, "connections-closed", NULL,
                                 "all connections of the tree are closed: %s", why ?: "out of memory");
        return r < 0 ? err_pass(r) : 0;
}

static int wait_for_network(const RestoreJob *job, Tree *tree, bool *ret_tcp_close) {
        StepClock clock = step_begin();
        int r = network_wait_patiently(tree, job->config->network_usec, job->stop_fd);

        *ret_tcp_close = r == -ETIMEDOUT && job->config->tcp_close;
        if (*ret_tcp_close)
                r = do_without_connections(tree);
        step_end(job->timeline, "restore.network", tree->name, clock);
        return r < 0 ? err_pass(r) : 0;
}

static int wait_for_mounts(const RestoreJob *job, const Tree *tree) {
        StepClock clock = step_begin();
        int r = mounts_wait(tree, job->config->mount_usec, job->stop_fd);

        step_end(job->timeline, "restore.mounts", tree->name, clock);
        return r < 0 ? err_pass(r) : 0;
}

/* Behind the mounts, which they may be loaded from. */
static int wait_for_profiles(const RestoreJob *job, const Tree *tree) {
        StepClock clock = step_begin();
        int r = apparmor_wait(tree, job->config->mount_usec, job->stop_fd);

        step_end(job->timeline, "restore.profiles", tree->name, clock);
        return r < 0 ? err_pass(r) : 0;
}

int needs_wait(const RestoreJob *job, Tree *tree, bool *ret_tcp_close) {
        int r = wait_for_network(job, tree, ret_tcp_close);

        if (r >= 0 && tree->n_mounts > 0)
                r = wait_for_mounts(job, tree);
        if (r >= 0 && tree->n_profiles > 0)
                r = wait_for_profiles(job, tree);
        return r < 0 ? err_pass(r) : 0;
}

int needs_for_files(const Tree *tree) {
        static const char *const places[] = {"/tmp", "/run", "/dev"};
        Mounts mounts = {0};
        int r = mounts_read(&mounts);

        for (size_t i = 0; r == 0 && i < ELEMENTS(places); i++)
                r = mounts_missing(&mounts, tree, places[i]);
        mounts_done(&mounts);
        return r == 1 ? -ETIMEDOUT : r;
}

int restore_waits_for(const Tree *tree) {
        Mounts mounts = {0};
        int r = network_missing(tree);

        if (r == 0)
                r = mounts_read(&mounts);
        if (r == 0)
                r = mounts_missing(&mounts, tree, NULL);
        if (r == 0)
                r = apparmor_missing(tree);
        mounts_done(&mounts);
        return r == 1 ? -ETIMEDOUT : r;
}

int restore_compare_cpu(Ticket *ticket) {
        _cleanup_(freep) char *now = NULL, *lost = NULL;
        int r;

        if (!ticket->instructions)
                return 0;
        r = cpu_instructions("/proc/cpuinfo", &now);
        if (r >= 0)
                r = cpu_lost(ticket->instructions, now, &lost);
        for (size_t i = 0; r >= 0 && lost[0] && i < ticket->n_trees; i++)
                r = tree_degrade(ticket->trees[i], "processor",
                                 "restart the programs that started on the other processor",
                                 "the processor lacks %s; programs that use it will be killed", lost);
        return r < 0 ? err_pass(r) : 0;
}

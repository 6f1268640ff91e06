/* SPDX-License-Identifier: GPL-2.0-or-later */

/* All that the threads of a save or a restore ask of the machine, answered at once and without it. What has
 * to be asked by one thread at a time writes to plain memory: ThreadSanitizer says who did without. */

#include "tests/fakes/outside.h"

#include "criu/criu.h"
#include "kernel/ids.h"
#include "kernel/kmod.h"
#include "model/connections.h"
#include "netfilter/conntrack.h"
#include "netfilter/hold.h"
#include "netlink/network.h"
#include "netlink/nudge.h"
#include "preflight/preflight.h"
#include "proc/procfs.h"
#include "restore/restore.h"
#include "store/key.h"
#include "systemd/bus.h"

#include "base/err.h"
#include "base/fd.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdatomic.h>
#include <sys/socket.h>

static atomic_uint holds_set;
size_t fake_held;
unsigned fake_holds_cleared, fake_bus_opened;
bool fake_hold_is_there;
static Connection last; /* of those that were held */

unsigned fake_holds_set(void) {
        return atomic_load_explicit(&holds_set, memory_order_relaxed);
}

int hold_set(HoldBackend backend, const HoldSet *set, HoldBackend *ret_used) {
        for (size_t i = 0; i < set->n_connections; i++)
                last = *set->connections[i];
        atomic_fetch_add_explicit(&holds_set, 1, memory_order_relaxed);
        fake_held = set->n_connections;
        if (ret_used)
                *ret_used = backend;
        return 0;
}

int hold_clear(void) {
        fake_held = 0;
        fake_holds_cleared++;
        return 0;
}

int hold_present(size_t *ret_n) {
        if (ret_n)
                *ret_n = fake_held;
        return fake_hold_is_there;
}

int hold_guard_end(void) {
        return 0;
}

int bus_open_manager(Bus **ret) {
        (void)ret;
        fake_bus_opened++;
        return err_say(-ENOENT, "there is no systemd");
}

int network_mtu_sweep(void) {
        return 0;
}

int system_pids_lift(uint32_t above) {
        (void)above;
        return 0;
}

int kmod_load(const char *const *names) {
        (void)names;
        return 0;
}

int store_key_forget(void) {
        return 0;
}

int hold_remove_criu_table(uint32_t root_pid) {
        (void)root_pid;
        return 0;
}

int network_wait(const Tree *tree, uint64_t deadline_monotonic, int stop_fd) {
        (void)tree;
        (void)deadline_monotonic;
        (void)stop_fd;
        return 0;
}

void nudge_peers(const PeerStream *streams, size_t n) {
        (void)streams;
        (void)n;
}

void nudge_dismiss(const PeerStream *streams, size_t n) {
        (void)streams;
        (void)n;
}

/* As packets carry them: nothing is translated. */
int conntrack_wires(Connection *const *connections, size_t n, Connection ***ret, size_t *ret_n) {
        (void)connections;
        (void)n;
        *ret = NULL;
        *ret_n = 0;
        return 0;
}

int conntrack_save(const HoldSet *set, Ticket *ticket) {
        (void)set;
        (void)ticket;
        return 0;
}

int criu_probe(const char *criu, uint64_t timeout_usec, CriuFeatures *ret) {
        (void)criu;
        (void)timeout_usec;
        *ret = (CriuFeatures){.lock_skip = true};
        criu_features_derive(ret);
        return 0;
}

int criu_check(const char *criu, uint64_t timeout_usec) {
        (void)criu;
        (void)timeout_usec;
        return 0;
}

void restore_scopes(RestoreScopes *scopes, Bus *manager, Tree *const *trees, size_t n, uint64_t timeout_usec,
                    RestoreScopeMade made, void *userdata) {
        (void)manager;
        (void)timeout_usec;
        (void)scopes;
        for (size_t i = 0; i < n; i++)
                if (trees[i])
                        made(i, 0, userdata);
}

int restore_login(Bus *manager, const Tree *tree) {
        (void)manager;
        (void)tree;
        return 1;
}

int restore_peers(const Store *store, const ImageKeys *keys, const Tree *tree, PeerStream **ret,
                  size_t *ret_n) {
        (void)store;
        (void)keys;
        (void)tree;
        *ret = NULL;
        *ret_n = 0;
        return 0;
}

int preflight_tree(const Snapshot *s, const Tree *tree, const PreflightFacts *facts, Verdict *ret) {
        (void)s;
        (void)tree;
        (void)facts;
        *ret = (Verdict){0};
        return 0;
}

/* As old as its number, with one connection that has its number for a port. */
int snapshot_frozen(pid_t root, const SnapLook *limits, const Snapshot *before, Snapshot **ret) {
        Snapshot *s = calloc(1, sizeof *s);
        SnapInet inet = {.ino = (uint64_t)root,
                         .family = AF_INET,
                         .protocol = IPPROTO_TCP,
                         .state = TCP_ESTABLISHED,
                         .local = {192, 0, 2, 1},
                         .remote = {192, 0, 2, 2},
                         .local_port = 22,
                         .remote_port = (uint16_t)root};
        SnapProcess p = {.pid = root, .start = (uint64_t)root, .tty_index = -1};
        SnapFd f = {.kind = FD_TCP, .ino = (uint64_t)root, .pty_index = -1};

        (void)limits;
        (void)before;
        if (!s || model_append(p.fds, p.n_fds, f) < 0 || model_append(s->inets, s->n_inets, inet) < 0 ||
            model_append(s->processes, s->n_processes, p) < 0)
                return -ENOMEM;
        *ret = s;
        return 0;
}

/* Each lives. */
int process_start_time(pid_t pid, uint64_t *ret) {
        *ret = (uint64_t)pid;
        return 0;
}

bool process_is_traced(pid_t pid) {
        (void)pid;
        return true;
}

int sync_machine(uint64_t deadline_monotonic) {
        (void)deadline_monotonic;
        return 0;
}

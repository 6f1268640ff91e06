/* SPDX-License-Identifier: GPL-2.0-or-later */

/* netlink/: every address is there. */

#include "netlink/network.h"
#include "netlink/nudge.h"
#include "tests/fakes/fake.h"

int network_drivers(const HoldSet *set, Ticket *ticket) {
        (void)ticket;
        return fake_call("network_drivers", "%zu", set->n_connections);
}

int network_forget_foreign(Tree *tree) {
        return fake_call("network_forget_foreign", "%s", tree->name);
}

int network_wait(const Tree *tree, uint64_t deadline_monotonic, int stop_fd) {
        (void)deadline_monotonic;
        (void)stop_fd;
        return fake_call("network_wait", "%s", tree->name);
}

int network_wait_patiently(const Tree *tree, uint64_t usec, int stop_fd) {
        (void)usec;
        (void)stop_fd;
        return fake_call("network_wait_patiently", "%s", tree->name);
}

int network_missing(const Tree *tree) {
        return fake_call("network_missing", "%s", tree->name);
}

int network_mtu_begin(const Tree *tree) {
        return fake_call("network_mtu_begin", "%s", tree->name);
}

int network_mtu_end(const Tree *tree) {
        return fake_call("network_mtu_end", "%s", tree->name);
}

int network_mtu_sweep(void) {
        return fake_call("network_mtu_sweep", "%s", "");
}

void nudge_peers(const PeerStream *streams, size_t n) {
        (void)streams;
        (void)fake_call("nudge_peers", "%zu", n);
}

void nudge_dismiss(const PeerStream *streams, size_t n) {
        (void)streams;
        (void)fake_call("nudge_dismiss", "%zu", n);
}

/* SPDX-License-Identifier: GPL-2.0-or-later */

/* netfilter/: the hold, its guard, and connection tracking. */

#include "base/err.h"
#include "netfilter/conntrack.h"
#include "netfilter/hold.h"
#include "tests/fakes/fake.h"

struct HoldGuard {
        bool on;
};

int hold_set(HoldBackend backend, const HoldSet *set, HoldBackend *ret_used) {
        HoldBackend used = backend == HOLD_AUTO ? fake->backend : backend;
        int r = fake_call("hold_set", "%zu", set->n_connections);

        if (r < 0)
                return r;
        fake->hold = true;
        fake->n_held = set->n_connections;
        if (ret_used)
                *ret_used = used;
        return 0;
}

int hold_possible(HoldBackend backend) {
        (void)backend;
        return fake_call("hold_possible", "%s", "");
}

int hold_clear(void) {
        int r = fake_call("hold_clear", "%s", "");

        if (r < 0)
                return r;
        fake->hold = false;
        fake->n_held = 0;
        return 0;
}

int hold_present(size_t *ret_n) {
        if (ret_n)
                *ret_n = fake->n_held;
        return fake->hold;
}

int hold_guard_start(HoldBackend used, const HoldSet *set, HoldGuard **ret) {
        static HoldGuard guard;
        int r = fake_call("hold_guard_start", "%zu", set->n_connections);

        (void)used;
        if (r < 0)
                return r;
        guard.on = true;
        *ret = &guard;
        return 0;
}

int hold_guard_update(HoldGuard *guard, const HoldSet *set) {
        (void)guard;
        return fake_call("hold_guard_update", "%zu", set->n_connections);
}

HoldGuard *hold_guard_stop(HoldGuard *guard) {
        if (guard)
                (void)fake_call("hold_guard_stop", "%s", "");
        return NULL;
}

int hold_guard_leave(HoldGuard *guard, HoldBackend used, const HoldSet *set) {
        int r = fake_call("hold_guard_leave", "%zu", set->n_connections);

        (void)guard;
        fake->guard_left = fake->guard_left || (r >= 0 && used == HOLD_NFTABLES);
        return r;
}

int hold_guard_end(void) {
        int r = fake_call("hold_guard_end", "%s", "");

        fake->guard_left = fake->guard_left && r < 0;
        return r;
}

int hold_remove_criu_table(uint32_t root_pid) {
        return fake_call("hold_remove_criu_table", "%u", root_pid);
}

int conntrack_save(const HoldSet *set, Ticket *ticket) {
        (void)ticket;
        return fake_call("conntrack_save", "%zu", set->n_connections);
}

int conntrack_wires(Connection *const *connections, size_t n, Connection ***ret, size_t *ret_n) {
        (void)connections;
        *ret = NULL;
        *ret_n = 0;
        return fake_call("conntrack_wires", "%zu", n);
}

int conntrack_restore(const Ticket *ticket) {
        (void)ticket;
        return fake_call("conntrack_restore", "%s", "");
}

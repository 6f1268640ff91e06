/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/*
 * The hold: packets of the held connections are dropped both ways, except those that carry CRIU's mark
 * 0xC114 (CRIU injects marked FIN/ACKs when it restores half-closed sockets: libsoccr). Of what comes to a
 * held port, all datagrams of UDP are dropped, and of TCP what begins a connection: else a kernel without
 * the socket refuses it. What leaves from such a port goes: nobody has it in the gap, and afterwards a
 * program would see EPERM. The hold never touches packets of other connections and ports, and rules of ours
 * are recognised without any state file: by the chains "CARRYOVER" (iptables) or the tables "carryover" and
 * "carryover-guard-*" (nftables).
 *
 * Two backends with one contract:
 *  - HOLD_IPTABLES: libiptc, table `raw`, v4 and v6, a chain CARRYOVER jumped to first from PREROUTING and
 *    OUTPUT. Survives `nft flush ruleset` (docs/CRIU.md, "Network lock": legacy tables are not nft's).
 *  - HOLD_NFTABLES: libnftables, a table `inet carryover`, sets, one transaction, constant-time
 *    lookup per packet. `nft flush ruleset` takes it away: hold_guard_start() is the answer.
 *
 * All functions act in the network namespace of the caller and need CAP_NET_ADMIN. hold_set() loads
 * hold_modules where the kernel does not answer for a backend; the others load none, except as the kernel
 * does on demand.
 *
 * Addresses are as the packets carry them: for a connection behind this machine's own NAT add what
 * conntrack_wires() finds. v4-mapped addresses (::ffff:192.0.2.1) are held as IPv4.
 */

#include "model/config.h"
#include "model/connections.h"

/*
 * Puts the hold on for exactly this set, in place of whatever hold of ours (of either backend) is there: at
 * no moment in between is something that is in both the old and the new set without a hold. An empty set is
 * a hold on nothing (tables present). Idempotent. HOLD_AUTO: the better one that works here (README.md,
 * "hold"); *ret_used (may be NULL) says which. -EOPNOTSUPP: this kernel lacks the backend asked for; nothing
 * has changed. An address or a port that no packet can have is left out: it is one tree's, the hold is
 * everybody's.
 */
int hold_set(HoldBackend backend, const HoldSet *set, HoldBackend *ret_used);

/* Whether hold_set() will find this backend (HOLD_AUTO: one of them), with its modules loaded: 0, or
 * -EOPNOTSUPP. Puts nothing on. */
int hold_possible(HoldBackend backend);

/* Takes the whole hold off, of both backends. Fine if there is none. A backend that the kernel does not have
 * is no error. */
int hold_clear(void);

/* 1 if a hold of ours stands (of either backend, or a guard's), 0 if not. *ret_n (may be NULL): connections
 * held. */
int hold_present(size_t *ret_n);

/*
 * The guard: keeps the hold standing while firewall services of nftables flush and load their rules. It
 * holds a second table of its own, "carryover-guard-PID-N", with `flags owner` (kernel 5.12): nobody but the
 * owning netlink socket can flush or delete it, and the kernel drops it when that socket goes, so it is
 * never left behind. A thread puts the table "carryover" back when somebody deletes it. So while the process
 * lives there is no moment without a hold, and when it ends the plain hold is there (HOLD_NFTABLES) as
 * hold_set() made it.
 *
 * Start it after hold_set(), with the same set and what hold_set() used; with HOLD_IPTABLES it
 * guards against somebody who flushes `raw`. Stop it before hold_clear(): a guard of another process would
 * put the table back. Answer 1 with *ret NULL: this kernel has no owned tables (or no nftables), nothing is
 * guarded.
 */
typedef struct HoldGuard HoldGuard;

int hold_guard_start(HoldBackend used, const HoldSet *set, HoldGuard **ret);

/* Guards exactly this set from now on, without a gap. To shrink a hold: update the guard, then
 * hold_set(). */
int hold_guard_update(HoldGuard *guard, const HoldSet *set);

/* Returns NULL. */
HoldGuard *hold_guard_stop(HoldGuard *guard);
static inline void hold_guard_stopp(HoldGuard **p) {
        (void)hold_guard_stop(*p);
}

/*
 * Leaves a guard behind that outlives the caller, in a process of its own, until hold_guard_end(), SIGTERM
 * or the end of the system; it stands when this returns. Only for HOLD_NFTABLES: nothing is left otherwise.
 * The caller has no thread but that of its own `guard` (or NULL), which still is to be stopped then. One at
 * a time: the next needs hold_guard_end() first.
 */
int hold_guard_leave(HoldGuard *guard, HoldBackend used, const HoldSet *set);

/* Ends what hold_guard_leave() left behind, and comes back when it is gone. Fine if there is nothing. */
int hold_guard_end(void);

/* Kernel modules of both backends, in the order of loading; NULL-terminated. What an initramfs must
 * contain. */
extern const char *const hold_modules[];

/* CRIU 3.17.1 with its nftables lock leaves tables `inet CRIU-<pid>` behind when it fails: removes the one
 * of this root pid. */
int hold_remove_criu_table(uint32_t root_pid);

/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/*
 * The hold: packets of the held connections are dropped both ways, except those that carry CRIU's mark
 * 0xC114 (CRIU injects marked FIN/ACKs when it restores half-closed sockets: libsoccr). It never touches
 * packets of other connections, and rules of ours are recognised without any state file: by the chain
 * "CARRYOVER" (iptables) or the table "carryover" (nftables).
 *
 * Two backends with one contract:
 *  - HOLD_IPTABLES: libiptc, table `raw`, v4 and v6, a chain CARRYOVER jumped to first from PREROUTING and
 * OUTPUT. Survives `nft flush ruleset` (criu-facts 15: legacy tables are not nft's).
 *  - HOLD_NFTABLES: libnftables, own tables, one set per family, one transaction, constant-time lookup per
 * packet.
 *
 * All functions act in the network namespace of the caller and need CAP_NET_ADMIN.
 */

#include "model/config.h"
#include "model/model.h"

/*
 * Puts the hold on for exactly these connections, in place of whatever hold of ours (of either backend) is
 * there: at no moment in between is a connection that is in both the old and the new set without a hold. n =
 * 0 is a hold on nothing (tables present). Idempotent. HOLD_AUTO: the better one that works here; *ret_used
 * (may be NULL) says which.
 */
int hold_set(HoldBackend backend, Connection *const *connections, size_t n, HoldBackend *ret_used);

/* Takes the whole hold off, of both backends. Fine if there is none. A backend that the kernel does not have
 * is no error. */
int hold_clear(void);

/* 1 if a hold of ours stands (of either backend), 0 if not. *ret_n (may be NULL): connections held. */
int hold_present(size_t *ret_n);

/* CRIU 3.17.1 with its nftables lock leaves tables `inet CRIU-<pid>` behind when it fails: removes the one
 * of this root pid. */
int hold_remove_criu_table(uint32_t root_pid);

const char *hold_backend_text(HoldBackend backend);         /* "iptables", "nftables", "auto" */
int hold_backend_parse(const char *text, HoldBackend *ret); /* -EINVAL */

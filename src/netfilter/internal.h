/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/* Inside this room: what the front hands to a backend. */

#include "model/connections.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* CRIU's own packets during a restore (SOCCR_MARK of its libsoccr). */
#define HOLD_PASS_MARK 0xC114u

/* One connection, checked. IPv4 uses the first 4 bytes; the rest is 0. Network byte order in the addresses,
 * the host's in the ports. */
typedef struct HoldPair {
        uint8_t local[16], remote[16];
        uint16_t local_port, remote_port;
} HoldPair;

/* One port, checked: nothing that comes to it is answered. */
typedef struct HoldPort {
        uint8_t local[16];
        uint16_t port;
        uint8_t protocol; /* IPPROTO_TCP: only what begins a connection; IPPROTO_UDP: everything */
        bool any;         /* every address of the family; local is 0 */
} HoldPort;

/* Sorted, without doubles. */
typedef struct HoldFamily {
        HoldPair *pairs;
        size_t n_pairs;
        HoldPort *ports;
        size_t n_ports;
} HoldFamily;

typedef struct HoldList {
        HoldFamily v4, v6;
} HoldList;

/*
 * set: this backend's hold becomes exactly the list, in one step per family. clear: none of its rules is
 * left; loads no module. present: 1 or 0, and the number of connections. probe: whether it is there. All:
 * -EOPNOTSUPP where the kernel does not have the backend, -EPERM without the capability.
 */
int hold_iptables_probe(void);
int hold_iptables_set(const HoldList *list);
int hold_iptables_clear(void);
int hold_iptables_present(size_t *ret_n);

int hold_nftables_set(const HoldList *list);
int hold_nftables_clear(void);
int hold_nftables_present(size_t *ret_n);

/* Ends a guard's thread; its own table stays until hold_guard_stop(). */
struct HoldGuard;
void hold_guard_rest(struct HoldGuard *guard);

#define HOLD_NFT_TABLE "carryover"
#define HOLD_NFT_GUARD "carryover-guard-" /* PID-N follows */

typedef enum NftOwner {
        NFT_SHARED, /* outlives us, anybody can delete it */
        NFT_OWNED,  /* flags owner: ours alone, gone with the netlink socket of the context */
} NftOwner;

/* The transaction that makes `table` (of family inet) anew with this list. Caller frees *ret. */
int hold_nftables_text(const char *table, NftOwner owner, const HoldList *list, char **ret);

/* 0 if nf_tables answers us; -EOPNOTSUPP, -EPERM. Must precede nft_ctx_new(), which ends the process where
 * there is no nfnetlink. */
int hold_nftables_probe(void);

struct nft_ctx;
int hold_nftables_context(struct nft_ctx **ret);
void hold_nftables_context_freep(struct nft_ctx **p);
/* Runs one transaction; the sentence carries the first line of nft's complaint. */
int hold_nftables_run(struct nft_ctx *context, const char *text, const char *what);

/* 1 if this table of family inet exists, 0 if not. */
int hold_nftables_table(const char *table);

/* What no packet can be of is left out. -ENOMEM. */
int hold_list_make(const HoldSet *set, HoldList *ret);
void hold_list_done(HoldList *list);

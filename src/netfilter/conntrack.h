/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/* Connection tracking entries of held connections (NAT mappings included), saved as opaque bytes and put
 * back. */

#include "model/connections.h"

/*
 * For each held connection that has an entry (searched in original and reply direction), appends its bytes
 * to ticket->conntrack. A kernel without conntrack, or a machine that tracks nothing, is fine: nothing is
 * appended. Does not load nf_conntrack.
 */
int conntrack_save(const HoldSet *set, Ticket *ticket);

/*
 * Those of the connections that this machine's own NAT changes, as their packets look outside: what a hold
 * must name as well. The hold drops before NAT is undone, and in the new kernel nothing undoes it at all
 * until the entries are back. Call it at the save; the result crosses the jump in Early.connections. Frees:
 * each by model_free(), then *ret.
 */
int conntrack_wires(Connection *const *connections, size_t n, Connection ***ret, size_t *ret_n);

/*
 * Creates the entries again (an existing entry is left alone), with a timeout long enough for the restore.
 * Under the hold, so that no packet makes an entry first. Bytes that do not decode are refused with
 * -EBADMSG, and none is put back. Where the kernel refuses one, the others are tried and its errno is
 * returned. Else returns how many were put back.
 */
int conntrack_restore(const Ticket *ticket);

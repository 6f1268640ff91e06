/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/* Connection tracking entries of held connections (NAT mappings included), saved as opaque bytes and put
 * back. */

#include "model/model.h"

/*
 * For each connection that has an entry (searched in original and reply direction), appends its bytes to
 * ticket->conntrack. A kernel without conntrack, or a machine that tracks nothing, is fine: nothing is
 * appended. Does not load nf_conntrack.
 */
int conntrack_save(Connection *const *connections, size_t n, Ticket *ticket);

/* Creates the entries again (an existing entry is left alone), with a timeout long enough for the restore.
 * Bytes that do not decode are refused with -EBADMSG. Returns how many were put back. */
int conntrack_restore(const Ticket *ticket);

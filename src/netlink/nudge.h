/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/*
 * Waking the peers of restored connections. A peer that was sending when the hold fell repeats its segment
 * at intervals that double (RFC 6298), so when the hold goes after a gap of 37 s it may keep silent for
 * another 15. Two messages shorten that:
 *
 *  - an acknowledgement of what has arrived, since the last one may have been lost in the hold. Our own
 *    socket is asked for it by a segment from before its window, "as if from the peer", which never leaves
 *    this machine (RFC 9293, 3.10.7.4: an unacceptable segment is answered with an acknowledgement).
 *  - some ICMP messages "host unreachable" that quote the segment which the peer repeats: proof that it was
 *    the path that was away, and not overloaded. RFC 6069 lets the peer take back one doubling for each, and
 *    send at once where the interval has then run out. Linux does: tcp_ld_RTO_revert(), in tcp_ipv4.c, and
 *    since 5.8 in tcp_ipv6.c, unless the program holds the socket's lock in that moment.
 *
 * Others may not, and firewalls may drop ICMP: then the peer repeats when it would have. A peer that was not
 * sending takes no notice; only a program that asked for such errors on its TCP socket (IP_RECVERR) sees
 * one.
 *
 * Dismissing the peers of connections that do not come back: they learn of it now, and not when they next
 * have something to send. A reset is believed only with the number that the peer expects next (RFC 5961,
 * 3.2), so there are three:
 *
 *  - the kernel's own, in answer to the segment from before the window, as above: nobody has that socket. It
 *    has the number of the save, which is right where nothing of the tree has run since;
 *  - the kernel's own, in answer to the peer: that gets a segment from before *its* window, and answers with
 *    the number that it expects. Right where a tree had run on, and went down with the machine;
 *  - where our address is no longer this machine's the kernel can't answer for it, and what the peer sends
 *    goes elsewhere or nowhere: one made here, if there is a route to the peer.
 */

#include "model/stream.h"

#include <stddef.h>

/*
 * The connections are held no more. Those of nudge_peers() are restored (or closed, then their peers get
 * resets), those of nudge_dismiss() may have been restored once, and are not there. Sends for some 50 ms, or
 * a second, and does not wait for an answer. Needs CAP_NET_RAW, acts in the network namespace of the caller.
 * Nothing is lost where it fails.
 */
void nudge_peers(const PeerStream *streams, size_t n);
void nudge_dismiss(const PeerStream *streams, size_t n);

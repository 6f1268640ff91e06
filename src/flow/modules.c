/* SPDX-License-Identifier: GPL-2.0-or-later */

/*
 * Modules are loaded early and all at once because a package upgrade may take the running kernel's modules
 * away under us, and sock_diag answers a missing one with -ENOENT (docs/CRIU.md, "What cannot be dumped").
 */

#include "flow/flow.h"

#include "kernel/kmod.h"
#include "netfilter/hold.h"

#include <unistd.h>

static const char *const of_criu[] = {
                /* what CRIU asks sock_diag for */
                "unix_diag", "inet_diag", "tcp_diag", "udp_diag", "raw_diag", "netlink_diag",
                "af_packet_diag",
                /* CRIU's own lock, and its probe of it */
                "nf_tables", "iptable_filter", "ip6table_filter", NULL};

/* Entries of held connections are read by it. It brings nf_conntrack along, which nobody else may want. */
static const char *const of_conntrack[] = {"nf_conntrack_netlink", NULL};

int modules_prepare(void) {
        int failed = kmod_load(of_criu) + kmod_load(hold_modules);

        if (access("/sys/module/nf_conntrack", F_OK) >= 0)
                failed += kmod_load(of_conntrack);
        return failed;
}

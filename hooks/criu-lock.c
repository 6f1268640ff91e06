/* SPDX-License-Identifier: GPL-2.0-or-later */

/*
 * For a CRIU that cannot leave its network lock out (before 3.19); a later one makes none.
 *
 * The lock is ours, and stands before CRIU begins (src/netfilter/hold.h). CRIU's own does harm: it is made
 * in a dozen transactions and two more for each connection, and rules that a firewall service flushes in
 * between make the dump fail; beyond some thousand connections libnftables ends CRIU, since it calls
 * select() with a descriptor above 1023. So what CRIU asks of libnftables comes by here and is done with.
 */

struct nft_ctx;

int nft_run_cmd_from_buffer(struct nft_ctx *nft, const char *buffer);

int nft_run_cmd_from_buffer(struct nft_ctx *nft, const char *buffer) {
        (void)nft;
        (void)buffer;
        return 0;
}

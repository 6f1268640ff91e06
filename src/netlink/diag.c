/* SPDX-License-Identifier: GPL-2.0-or-later */

/* A socket of its own for each dump: one that was stopped half-way has answers left in it. */

#include "netlink/diag.h"

#include "base/cleanup.h"
#include "base/err.h"

#include <errno.h>
#include <linux/sock_diag.h>
#include <netlink/msg.h>
#include <netlink/netlink.h>
#include <stdint.h>

typedef struct Walk {
        const DiagDump *dump;
        int r;
} Walk;

static void nl_socket_freep(struct nl_sock **sock) {
        if (*sock)
                nl_socket_free(*sock);
}

static int on_answer(struct nl_msg *msg, void *userdata) {
        Walk *walk = userdata;
        struct nlmsghdr *h = nlmsg_hdr(msg);
        struct nlattr *found[DIAG_ATTRIBUTES];
        DiagAttribute attributes[DIAG_ATTRIBUTES] = {0};

        if (nlmsg_parse(h, (int)walk->dump->body_size, found, DIAG_ATTRIBUTES - 1, NULL) < 0)
                return NL_SKIP;
        for (size_t i = 0; i < DIAG_ATTRIBUTES; i++)
                if (found[i])
                        attributes[i] = (DiagAttribute){nla_data(found[i]), (size_t)nla_len(found[i])};
        walk->r = walk->dump->each(nlmsg_data(h), attributes, walk->dump->userdata);
        return walk->r ? NL_STOP : NL_OK;
}

/* libnl's errors of a kernel without that family's module. */
static bool is_unknown(int r) {
        return r == -NLE_OBJ_NOTFOUND || r == -NLE_OPNOTSUPP || r == -NLE_INVAL || r == -NLE_PROTO_MISMATCH;
}

int diag_dump(const DiagDump *dump) {
        _cleanup_(nl_socket_freep) struct nl_sock *sock = nl_socket_alloc();
        Walk walk = {.dump = dump};
        int r;

        if (!sock)
                return -ENOMEM;
        nl_socket_disable_auto_ack(sock);
        r = nl_connect(sock, NETLINK_SOCK_DIAG);
        if (r < 0)
                return err_say(-EIO, "cannot open a sock_diag socket: %s", nl_geterror(r));
        (void)nl_socket_modify_cb(sock, NL_CB_VALID, NL_CB_CUSTOM, on_answer, &walk);
        r = nl_send_simple(sock, SOCK_DIAG_BY_FAMILY, NLM_F_DUMP, (void *)(uintptr_t)dump->request,
                           dump->request_size);
        if (r >= 0)
                r = nl_recvmsgs_default(sock);
        if (walk.r < 0)
                return err_pass(walk.r);
        if (is_unknown(r))
                return 1;
        return r < 0 && r != -NLE_DUMP_INTR ? err_say(-EIO, "cannot list sockets: %s", nl_geterror(r)) : 0;
}

/* SPDX-License-Identifier: GPL-2.0-or-later */

/*
 * The guard of the hold against firewall services: nftables.service flushes the whole ruleset when it
 * starts, reloads and stops, and takes the table "carryover" with it. Putting it back as soon as the kernel
 * tells is not enough (README.md has the window in microseconds, and in one microsecond a peer's segment may
 * draw a reset), so there is a second table with `flags owner`: the kernel skips it when anybody but the
 * netlink socket that made it flushes, and refuses to delete it. It goes when that socket is closed, also by
 * a crash.
 *
 * The socket is libnftables' own, inside the context, so the context lives as long as the guard.
 */

#include "netfilter/hold.h"

#include "base/cleanup.h"
#include "base/err.h"
#include "base/fd.h"
#include "netfilter/internal.h"

#include <errno.h>
#include <libmnl/libmnl.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

struct HoldGuard {
        char table[64];
        struct nft_ctx *owner; /* holds the owned table */
        bool owned;

        pthread_mutex_t lock; /* list: replaced by update, read by the thread */
        HoldList list;

        pthread_t thread;
        bool running;
        struct mnl_socket *events;
        int stop_fd;
};

/* Removes the lines of netlink events that wait; what they say does not matter, the table is looked for. An
 * overrun (ENOBUFS) is as good as an event. */
static void drain(struct mnl_socket *events) {
        char buffer[16384];

        while (recv(mnl_socket_get_fd(events), buffer, sizeof buffer, MSG_DONTWAIT) > 0)
                ;
}

static void put_back(HoldGuard *guard) {
        if (hold_nftables_table(HOLD_NFT_TABLE) != 0)
                return;
        pthread_mutex_lock(&guard->lock);
        /* A failure leaves the owned table, which holds the same; the next event tries again. */
        (void)hold_nftables_set(&guard->list);
        pthread_mutex_unlock(&guard->lock);
}

static void *watch(void *userdata) {
        HoldGuard *guard = userdata;
        struct pollfd fds[] = {
                        {.fd = guard->stop_fd, .events = POLLIN},
                        {.fd = mnl_socket_get_fd(guard->events), .events = POLLIN},
        };

        for (;;) {
                if (poll(fds, ELEMENTS(fds), -1) < 0 && errno != EINTR)
                        return NULL;
                if (fds[0].revents)
                        return NULL;
                if (fds[1].revents) {
                        drain(guard->events);
                        put_back(guard);
                }
        }
}

static int watch_start(HoldGuard *guard) {
        const int group = NFNLGRP_NFTABLES;
        int r;

        guard->stop_fd = eventfd(0, EFD_CLOEXEC);
        guard->events = mnl_socket_open2(NETLINK_NETFILTER, SOCK_CLOEXEC);
        if (guard->stop_fd < 0 || !guard->events ||
            mnl_socket_bind(guard->events, 0, MNL_SOCKET_AUTOPID) < 0 ||
            mnl_socket_setsockopt(guard->events, NETLINK_ADD_MEMBERSHIP, (void *)&group, sizeof group) < 0)
                return err_born(-errno, "cannot watch the nftables rules");
        r = pthread_create(&guard->thread, NULL, watch, guard);
        if (r != 0)
                return err_born(-r, "cannot start the guard of the hold");
        guard->running = true;
        return 0;
}

static int own(HoldGuard *guard, const HoldList *list) {
        _cleanup_(freep) char *text = NULL;
        int r;

        r = hold_nftables_text(guard->table, NFT_OWNED, list, &text);
        if (r < 0)
                return err_pass(r);
        r = hold_nftables_run(guard->owner, text, "start the guard of the hold");
        if (r < 0)
                return err_pass(r);
        guard->owned = true;
        return 0;
}

/* A kernel before 5.12 refuses the flag. */
static bool is_unsupported(int r) {
        return r == -EOPNOTSUPP || r == -EINVAL;
}

int hold_guard_start(HoldBackend used, const HoldSet *set, HoldGuard **ret) {
        static atomic_uint counter;
        _cleanup_(hold_guard_stopp) HoldGuard *guard = calloc(1, sizeof *guard);
        int r;

        if (!guard)
                return -ENOMEM;
        guard->stop_fd = -1;
        pthread_mutex_init(&guard->lock, NULL);
        snprintf(guard->table, sizeof guard->table, HOLD_NFT_GUARD "%d-%u", getpid(),
                 atomic_fetch_add(&counter, 1));
        r = hold_list_make(set, &guard->list);
        if (r < 0)
                return err_pass(r);
        r = hold_nftables_context(&guard->owner);
        if (r == 0)
                r = own(guard, &guard->list);
        if (is_unsupported(r)) {
                *ret = NULL;
                return 1;
        }
        if (r == 0 && used == HOLD_NFTABLES)
                r = watch_start(guard);
        if (r < 0)
                return err_pass(r);
        *ret = TAKE(guard);
        return 0;
}

int hold_guard_update(HoldGuard *guard, const HoldSet *set) {
        _cleanup_(hold_list_done) HoldList list = {0};
        int r;

        r = hold_list_make(set, &list);
        if (r < 0)
                return err_pass(r);
        r = own(guard, &list);
        if (r < 0)
                return err_pass(r);
        pthread_mutex_lock(&guard->lock);
        hold_list_done(&guard->list);
        guard->list = TAKE(list);
        pthread_mutex_unlock(&guard->lock);
        return 0;
}

void hold_guard_rest(HoldGuard *guard) {
        const uint64_t one = 1;

        if (guard->running && write(guard->stop_fd, &one, sizeof one) == sizeof one) {
                pthread_join(guard->thread, NULL);
                guard->running = false;
        }
}

HoldGuard *hold_guard_stop(HoldGuard *guard) {
        char text[128];

        if (!guard)
                return NULL;
        hold_guard_rest(guard);
        if (guard->events)
                mnl_socket_close(guard->events);
        fd_close(guard->stop_fd);
        if (guard->owned) {
                /* Closing the socket would do, if no child that was forked meanwhile has a copy of it. */
                snprintf(text, sizeof text, "delete table inet %s\n", guard->table);
                (void)hold_nftables_run(guard->owner, text, "remove the guard of the hold");
        }
        hold_nftables_context_freep(&guard->owner);
        hold_list_done(&guard->list);
        pthread_mutex_destroy(&guard->lock);
        free(guard);
        return NULL;
}

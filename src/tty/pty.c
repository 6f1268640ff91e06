/* SPDX-License-Identifier: GPL-2.0-or-later */

/*
 * devpts hands out the lowest free index. So opening masters until one has an index at or above the highest
 * that is wanted settles the fate of every wanted one: it is ours, or somebody else held it before. The
 * masters in between ("fillers") stay open: with them, an index that is let go is the lowest free one, and a
 * CRIU that makes it again, which tries 32 times, gets it at the first (docs/CRIU.md, "Terminals").
 *
 * A reservation is a set of open descriptors and lives as long as the process that made it: that is why the
 * restore makes it, and not a oneshot before it.
 */

#include "tty/pty.h"

#include "base/cleanup.h"
#include "base/err.h"
#include "base/fd.h"
#include "base/lock.h"

#include <fcntl.h>
#include <stdbool.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <unistd.h>

typedef struct Master {
        uint32_t index;
        bool wanted;
        bool dead; /* its slave is somebody's already (pty_dead()): nobody else's, whatever its index */
        int fd;
} Master;

struct PtyReserve {
        pthread_mutex_t lock; /* trees are restored side by side */
        Master *masters;
        size_t n;
};

PtyReserve *pty_reserve_free(PtyReserve *reserve) {
        if (!reserve)
                return NULL;
        for (size_t i = 0; i < reserve->n; i++)
                fd_close(reserve->masters[i].fd);
        free(reserve->masters);
        pthread_mutex_destroy(&reserve->lock);
        free(reserve);
        return NULL;
}

static bool contains(const uint32_t *set, size_t n, uint32_t index) {
        for (size_t i = 0; i < n; i++)
                if (set[i] == index)
                        return true;
        return false;
}

/* One more master into the reserve. */
static int master_open(PtyReserve *reserve, Master **ret) {
        _cleanup_(closep) int fd = -1;
        unsigned index;
        Master *grown;

        fd = open("/dev/ptmx", O_RDWR | O_NOCTTY | O_CLOEXEC);
        if (fd < 0)
                return err_born(-errno, "cannot open a pseudo terminal");
        if (ioctl(fd, TIOCGPTN, &index) < 0)
                return err_born(-errno, "cannot determine the number of a pseudo terminal");
        grown = reallocarray(reserve->masters, reserve->n + 1, sizeof *grown);
        if (!grown)
                return -ENOMEM;
        reserve->masters = grown;
        grown[reserve->n] = (Master){.index = index, .fd = TAKE_FD(fd)};
        *ret = &grown[reserve->n++];
        return 0;
}

/* Out of the reserve: the descriptor is the caller's. */
static int master_take(PtyReserve *reserve, Master *m) {
        int fd = m->fd;

        *m = reserve->masters[--reserve->n];
        return fd;
}

int pty_reserve(const uint32_t *wanted, size_t n, PtyReserve **ret) {
        _cleanup_(pty_reserve_freep) PtyReserve *reserve = calloc(1, sizeof *reserve);
        uint32_t highest = 0;
        Master *m;
        int r;

        if (!reserve)
                return -ENOMEM;
        pthread_mutex_init(&reserve->lock, NULL);
        for (size_t i = 0; i < n; i++) {
                if (wanted[i] > PTY_INDEX_MAX)
                        return err_say(-ERANGE,
                                       "terminal number %u exceeds the highest that can be restored (%u)",
                                       wanted[i], PTY_INDEX_MAX);
                if (wanted[i] > highest)
                        highest = wanted[i];
        }
        while (n > 0) {
                r = master_open(reserve, &m);
                if (r < 0)
                        return err_pass(r);
                m->wanted = contains(wanted, n, m->index);
                if (m->index >= highest)
                        break;
        }
        *ret = TAKE(reserve);
        return 0;
}

int pty_take(PtyReserve *reserve, uint32_t index) {
        _locked_ pthread_mutex_t *locked = lock(&reserve->lock);

        for (size_t i = 0; i < reserve->n; i++)
                if (reserve->masters[i].wanted && !reserve->masters[i].dead &&
                    reserve->masters[i].index == index)
                        return master_take(reserve, &reserve->masters[i]);
        return err_say(-ENOENT, "terminal pts/%u is in use by another program", index);
}

/* A filler if there is one, else a fresh master. */
int pty_spare(PtyReserve *reserve, uint32_t *ret) {
        _locked_ pthread_mutex_t *locked = lock(&reserve->lock);
        Master *m = NULL;
        int r;

        for (size_t i = 0; i < reserve->n && !m; i++)
                if (!reserve->masters[i].wanted && !reserve->masters[i].dead)
                        m = &reserve->masters[i];
        if (!m) {
                r = master_open(reserve, &m);
                if (r < 0)
                        return err_pass(r);
        }
        if (m->index > PTY_INDEX_MAX)
                return err_say(-ENOSPC, "no terminal number below %u is free", PTY_INDEX_MAX);
        *ret = m->index;
        return master_take(reserve, m);
}

int pty_dead(PtyReserve *reserve) {
        _locked_ pthread_mutex_t *locked = lock(&reserve->lock);
        Master *m;
        int r, fd, unlock = 0;

        r = master_open(reserve, &m);
        if (r < 0)
                return err_pass(r);
        m->dead = true;
        if (ioctl(m->fd, TIOCSPTLCK, &unlock) < 0)
                return err_born(-errno, "cannot unlock a pseudo terminal");
        fd = ioctl(m->fd, TIOCGPTPEER, O_RDWR | O_NOCTTY | O_CLOEXEC);
        return fd < 0 ? err_born(-errno, "cannot open the slave of a pseudo terminal") : fd;
}

/* SPDX-License-Identifier: GPL-2.0-or-later */

/* A pty exists while somebody has an end of it open: both ends are held here, the slave's because the kernel
 * takes a terminal away from its session when its last descriptor is closed. */

#include "criu/internal.h"

#include "base/err.h"
#include "base/fd.h"
#include "base/text.h"
#include "image/image.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <unistd.h>

#define TRIES 32 /* CRIU's own, for the same reason: others open terminals, too */
#define MAX   31 /* hooks/criu-ctty.c */

/* A master with this very index: the kernel hands out the lowest free one. */
static int open_master(uint32_t index) {
        int fds[TRIES], found = -1;
        size_t n = 0;

        while (n < TRIES && found < 0) {
                unsigned got;

                fds[n] = open("/dev/ptmx", O_RDWR | O_NOCTTY | O_CLOEXEC);
                if (fds[n] < 0)
                        break;
                if (ioctl(fds[n], TIOCGPTN, &got) >= 0 && got == index)
                        found = fds[n];
                else
                        n++;
        }
        while (n > 0)
                fd_close(fds[--n]);
        return found;
}

/* The one that was reserved, or one that is made now. */
static int get_master(const CriuJob *job, uint32_t index) {
        for (size_t i = 0; i < job->n_masters; i++)
                if (job->masters[i].index == index && job->masters[i].fd >= 0)
                        return TAKE_FD(job->masters[i].fd);
        return open_master(index);
}

static int add_pair(CriuTerminals *t, const CriuJob *job, const ImageTerminal *image) {
        int master = get_master(job, image->index), slave = -1, unlocked = 0;
        char *words;

        if (master < 0)
                return -EBUSY;
        t->fds[t->n_fds++] = master;
        if (ioctl(master, TIOCSPTLCK, &unlocked) >= 0)
                slave = ioctl(master, TIOCGPTPEER, O_RDWR | O_NOCTTY | O_CLOEXEC);
        if (slave < 0)
                return -errno;
        t->fds[t->n_fds++] = slave;
        words = text_format("%s %u:%d:%d", t->words, image->leader, master, slave);
        if (!words)
                return -ENOMEM;
        free(t->words);
        t->words = words;
        return 0;
}

void criu_terminals_close(CriuTerminals *t) {
        while (t->n_fds > 0)
                fd_close(t->fds[--t->n_fds]);
        t->heard_fd = fd_close(t->heard_fd);
        free(t->fds);
        free(t->words);
        t->fds = NULL;
        t->words = NULL;
        t->environment[1] = NULL;
}

static void terminals_make(const CriuJob *job, CriuTerminals *ret) {
        _cleanup_(freep) ImageTerminal *images = NULL;
        _cleanup_(criu_terminals_close)
                        CriuTerminals t = {.heard_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)};
        size_t n;

        if (t.heard_fd < 0 || image_terminals(job->images_fd, &images, &n) < 0 || n == 0 || n > MAX)
                return;
        t.words = text_format("CARRYOVER_CTTY=%d %d", getpid(), t.heard_fd);
        t.fds = calloc(n * 2, sizeof *t.fds);
        if (!t.words || !t.fds)
                return;
        for (size_t i = 0; i < n; i++)
                if (add_pair(&t, job, images + i) < 0)
                        return;
        *ret = t;
        t = (CriuTerminals){.heard_fd = -1};
}

bool criu_terminals_are_used(const CriuTerminals *t) {
        uint64_t n;

        return t->heard_fd < 0 || read(t->heard_fd, &n, sizeof n) == sizeof n;
}

int criu_terminals_open(const CriuJob *job, CriuTerminals *ret) {
        int r = access(job->preload, R_OK) < 0 ? -errno : 0;

        *ret = (CriuTerminals){.heard_fd = -1};
        if (r >= 0)
                terminals_make(job, ret);
        for (size_t i = 0; i < job->n_masters; i++) /* for CRIU to make again */
                job->masters[i].fd = fd_close(job->masters[i].fd);
        if (r < 0)
                return err_born(r, "CRIU is not safe without %s: reinstall carryover", job->preload);
        snprintf(ret->preload, sizeof ret->preload, "LD_PRELOAD=%s", job->preload);
        ret->environment[0] = ret->preload;
        ret->environment[1] = ret->words;
        return 0;
}

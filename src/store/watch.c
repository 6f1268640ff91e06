/* SPDX-License-Identifier: GPL-2.0-or-later */

#include "store/watch.h"

#include "base/cleanup.h"
#include "base/err.h"
#include "base/fd.h"
#include "store/run.h"

#include <errno.h>
#include <stdio.h>
#include <sys/inotify.h>
#include <unistd.h>

/* Each change of state is a rename; what is being written has another name until then. */
#define CHANGES (IN_MOVED_TO | IN_MOVED_FROM | IN_DELETE)

static int watch(int fd, int dir) {
        char path[64];

        snprintf(path, sizeof path, "/proc/self/fd/%d", dir);
        return inotify_add_watch(fd, path, CHANGES | IN_ONLYDIR) < 0
                               ? err_born(-errno, "cannot watch the store for changes")
                               : 0;
}

int store_watch(const Store *store) {
        _cleanup_(closep) int fd = inotify_init1(IN_CLOEXEC | IN_NONBLOCK), run = run_directory();
        int r;

        if (fd < 0)
                return err_born(-errno, "cannot watch the store for changes");
        if (run < 0)
                return err_pass(run);
        r = watch(fd, store->fd);
        if (r >= 0)
                r = watch(fd, run);
        return r < 0 ? err_pass(r) : TAKE_FD(fd);
}

int store_watch_drain(int fd) {
        char events[4096];
        ssize_t n;

        while ((n = read(fd, events, sizeof events)) > 0)
                ;
        return n < 0 && errno != EAGAIN && errno != EINTR
                               ? err_born(-errno, "cannot watch the store for changes")
                               : 0;
}

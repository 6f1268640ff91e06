/* SPDX-License-Identifier: GPL-2.0-or-later */

/*
 * FIFOs are made again at their path, with the saved mode, because CRIU compares it ("bad mode"), and opened
 * for reading and writing so that no open waits for a reader that does not run yet. A stream to the journal
 * is connected anew with its header. Any other stream whose peer died with the old kernel becomes a socket
 * whose other end is closed: the program sees the end of file that it would have seen in any case.
 */

#include "restore/outside.h"

#include "base/cleanup.h"
#include "base/err.h"
#include "base/fd.h"
#include "base/text.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

static int open_fifo(const External *e) {
        _cleanup_(closep) int fd = -1;
        struct stat st;
        int r;

        if (!e->path || !model_is_session_fifo(e->path))
                return err_say(-EINVAL, "the ticket contains a FIFO with an invalid path");
        r = make_dirs("/run/systemd/sessions", 0755);
        if (r < 0)
                return err_pass(r);
        if (mkfifo(e->path, 0600) < 0 && errno != EEXIST)
                return err_born(-errno, "cannot create FIFO %s", e->path);
        fd = open(e->path, O_RDWR | O_NONBLOCK | O_NOFOLLOW | O_CLOEXEC);
        if (fd < 0)
                return err_born(-errno, "cannot open FIFO %s", e->path);
        if (fstat(fd, &st) < 0 || !S_ISFIFO(st.st_mode))
                return err_say(-EEXIST, "%s exists, but is not a FIFO", e->path);
        if (fchmod(fd, e->has_mode ? e->mode & 07777 : 0600) < 0)
                return err_born(-errno, "cannot set the mode of %s", e->path);
        if (e->has_uid && e->has_gid && fchown(fd, e->uid, e->gid) < 0)
                return err_born(-errno, "cannot set the owner of %s", e->path);
        return TAKE_FD(fd);
}

static int set_flags(int fd, const External *e) {
        if (e->has_flags && (e->flags & O_NONBLOCK) && fcntl(fd, F_SETFL, O_NONBLOCK) < 0)
                return err_born(-errno, "cannot set the flags of a socket");
        return 0;
}

static int open_journal_stream(const External *e) {
        struct sockaddr_un sa = {.sun_family = AF_UNIX, .sun_path = "/run/systemd/journal/stdout"};
        _cleanup_(freep) char *header = NULL;
        _cleanup_(closep) int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
        int r;

        if (fd < 0 || connect(fd, (struct sockaddr *)&sa, sizeof sa) < 0)
                return err_born(-errno, "cannot connect to the journal at %s", sa.sun_path);
        /* identifier, unit, priority, level prefix, to syslog, to kmsg, to console: one line each
         * (systemd-journald's stream header) */
        header = text_format("%s\n\n6\n1\n0\n0\n0\n", e->label ?: "carried");
        if (!header)
                return -ENOMEM;
        r = fd_write_all(fd, header, strlen(header));
        if (r >= 0)
                r = set_flags(fd, e);
        return r < 0 ? err_pass(r) : TAKE_FD(fd);
}

static int open_dead_stream(const External *e) {
        int pair[2], r;

        if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) < 0)
                return err_born(-errno, "cannot create a socket pair");
        close(pair[1]);
        r = set_flags(pair[0], e);
        if (r < 0) {
                close(pair[0]);
                return err_pass(r);
        }
        return pair[0];
}

/* The other end went with the old kernel: writers get EPIPE, readers the end of file. */
static int open_dead_pipe(const External *e) {
        int pair[2], keep = e->has_flags && (e->flags & O_ACCMODE) == O_WRONLY;

        if (pipe2(pair, O_CLOEXEC) < 0)
                return err_born(-errno, "cannot create a pipe");
        close(pair[!keep]);
        return pair[keep];
}

/* The number alone says nothing: somebody else may have logged in on it since, and root may open his
 * terminal. So it must belong to the tree's owner; else its master did not come back, and it is as good as
 * hung up. */
static int open_tty(const RestoreJob *job, const Tree *tree, const External *e) {
        _cleanup_(closep) int fd = -1;
        struct stat st;

        if (!e->path) /* it had been hung up */
                return err_pass(pty_dead(job->ptys));
        if (!starts_with(e->path, "/dev/"))
                return err_say(-EINVAL, "the ticket contains a terminal with an invalid path");
        fd = open(e->path, O_RDWR | O_NOCTTY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
        if (fd >= 0 && fstat(fd, &st) >= 0 && S_ISCHR(st.st_mode) && st.st_uid == tree->uid &&
            fcntl(fd, F_SETFL, 0) >= 0)
                return TAKE_FD(fd);
        return err_pass(pty_dead(job->ptys));
}

static int open_one(const RestoreJob *job, const Tree *tree, const External *e) {
        switch (e->kind) {
        case EXTERNAL__KIND__FIFO:
                return open_fifo(e);
        case EXTERNAL__KIND__JOURNAL_STREAM:
                return open_journal_stream(e);
        case EXTERNAL__KIND__BUS:
        case EXTERNAL__KIND__STREAM:
                return open_dead_stream(e);
        case EXTERNAL__KIND__PIPE:
                return open_dead_pipe(e);
        case EXTERNAL__KIND__TTY:
                return open_tty(job, tree, e);
        default:
                return err_say(-EBADMSG, "the ticket contains an outside file of an unknown type");
        }
}

int outside_open(const RestoreJob *job, const Tree *tree, Outside *ret) {
        Outside o = {0};

        o.fds = calloc(tree->n_externals ?: 1, sizeof *o.fds);
        if (!o.fds)
                return -ENOMEM;
        for (size_t i = 0; i < tree->n_externals; i++) {
                int fd;

                if (!tree->externals[i]->restore_key[0])
                        continue;
                fd = open_one(job, tree, tree->externals[i]);
                if (fd < 0) {
                        outside_close(&o);
                        return err_pass(fd);
                }
                o.fds[o.n++] = (CriuFd){.key = tree->externals[i]->restore_key, .fd = fd};
        }
        *ret = o;
        return 0;
}

void outside_close(Outside *o) {
        for (size_t i = 0; i < o->n; i++)
                fd_close(o->fds[i].fd);
        free(o->fds);
        *o = (Outside){0};
}

/* SPDX-License-Identifier: GPL-2.0-or-later */

/* What lies outside the images, made anew. Needs root: /run is a tmpfs of the test's own. */

#include "restore/outside.h"

#include "base/cleanup.h"
#include "base/fd.h"
#include "tests/unit/own-run.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cmocka.h>

/* Opens one, and gives its descriptor to the caller. */
static int open_external(External *e, PtyReserve *ptys, uid_t uid) {
        const RestoreJob job = {.ptys = ptys};
        External *items[] = {e};
        Tree tree = TREE__INIT;
        Outside o = {0};
        int r, fd;

        tree.externals = items;
        tree.n_externals = 1;
        tree.uid = uid;
        e->dump_key = e->restore_key = e->restore_key[0] ? e->restore_key : (char *)"key";
        r = outside_open(&job, &tree, &o);
        if (r < 0)
                return r;
        assert_int_equal(o.n, 1);
        assert_string_equal(o.fds[0].key, e->restore_key);
        fd = fcntl(o.fds[0].fd, F_DUPFD_CLOEXEC, 3);
        outside_close(&o);
        return fd;
}

static External external(External__Kind kind, const char *path) {
        External e = EXTERNAL__INIT;

        e.kind = kind;
        e.path = (char *)path;
        e.dump_key = e.restore_key = (char *)"";
        return e;
}

static void test_fifo(void **state) {
        External e = external(EXTERNAL__KIND__FIFO, "/run/systemd/sessions/4.ref");
        _cleanup_(closep) int fd = -1;
        struct stat st;

        e.has_mode = e.has_uid = e.has_gid = true;
        e.mode = 0640;
        e.uid = 7;
        e.gid = 8;
        fd = open_external(&e, NULL, 0);
        assert_true(fd >= 0);
        assert_int_equal(stat(e.path, &st), 0);
        assert_true(S_ISFIFO(st.st_mode));
        assert_int_equal(st.st_mode & 07777, 0640);
        assert_int_equal(st.st_uid, 7);
        assert_int_equal(st.st_gid, 8);
        assert_int_equal(fcntl(fd, F_GETFL) & O_ACCMODE, O_RDWR);
}

/* A ticket is no way to anywhere else, and what is no FIFO is left alone. */
static void test_no_fifo(void **state) {
        External e = external(EXTERNAL__KIND__FIFO, "/run/elsewhere");

        assert_int_equal(open_external(&e, NULL, 0), -EINVAL);
        assert_int_equal(access(e.path, F_OK), -1);
        e = external(EXTERNAL__KIND__FIFO, NULL);
        assert_int_equal(open_external(&e, NULL, 0), -EINVAL);
        e = external(EXTERNAL__KIND__FIFO, "/run/systemd/sessions/5.ref");
        fd_close(open_dirs("/run/systemd/sessions", 0755));
        assert_int_equal(mknod(e.path, S_IFREG | 0600, 0), 0);
        assert_int_equal(open_external(&e, NULL, 0), -EEXIST);
}

static void test_journal(void **state) {
        struct sockaddr_un sa = {.sun_family = AF_UNIX, .sun_path = "/run/systemd/journal/stdout"};
        External e = external(EXTERNAL__KIND__JOURNAL_STREAM, NULL);
        _cleanup_(closep) int journal = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0), fd = -1, peer = -1;
        char text[64] = "";

        assert_true(open_external(&e, NULL, 0) < 0); /* there is none */
        fd_close(open_dirs("/run/systemd/journal", 0755));
        assert_int_equal(bind(journal, (struct sockaddr *)&sa, sizeof sa) | listen(journal, 4), 0);
        e.label = (char *)"job";
        e.has_flags = true;
        e.flags = O_NONBLOCK;
        fd = open_external(&e, NULL, 0);
        peer = accept(journal, NULL, NULL);
        assert_true(fd >= 0 && peer >= 0);
        assert_true(read(peer, text, sizeof text - 1) > 0);
        assert_string_equal(text, "job\n\n6\n1\n0\n0\n0\n");
        assert_true(fcntl(fd, F_GETFL) & O_NONBLOCK);
}

/* The other end went with the old kernel. */
static void test_dead_ends(void **state) {
        static const External__Kind streams[] = {EXTERNAL__KIND__BUS, EXTERNAL__KIND__STREAM};
        External e = external(EXTERNAL__KIND__PIPE, NULL);
        _cleanup_(closep) int out = -1, in = -1;
        char byte;

        for (size_t i = 0; i < ELEMENTS(streams); i++) {
                External s = external(streams[i], NULL);
                _cleanup_(closep) int fd = open_external(&s, NULL, 0);

                assert_true(fd >= 0);
                assert_int_equal(read(fd, &byte, 1), 0);
        }
        in = open_external(&e, NULL, 0);
        assert_int_equal(read(in, &byte, 1), 0);
        e.has_flags = true;
        e.flags = O_WRONLY;
        out = open_external(&e, NULL, 0);
        assert_int_equal(fcntl(out, F_GETFL) & O_ACCMODE, O_WRONLY);
}

/* Of the tree's own user, or one that is hung up. */
static void test_terminal(void **state) {
        _cleanup_(pty_reserve_freep) PtyReserve *ptys = NULL;
        _cleanup_(closep) int master = posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC), own = -1, other = -1;
        External e = external(EXTERNAL__KIND__TTY, NULL);
        struct stat had, has;
        char path[64];

        assert_true(master >= 0);
        assert_int_equal(unlockpt(master) | ptsname_r(master, path, sizeof path), 0);
        assert_int_equal(stat(path, &had), 0);
        assert_int_equal(pty_reserve(NULL, 0, &ptys), 0);
        other = open_external(&e, ptys, 0); /* without a path: it had been hung up */
        assert_int_equal(fstat(other, &has), 0);
        assert_int_not_equal(has.st_rdev, had.st_rdev);
        other = fd_close(other);
        e.path = path;
        own = open_external(&e, ptys, had.st_uid);
        assert_int_equal(fstat(own, &has), 0);
        assert_int_equal(has.st_rdev, had.st_rdev);
        other = open_external(&e, ptys, had.st_uid + 1);
        assert_int_equal(fstat(other, &has), 0);
        assert_int_not_equal(has.st_rdev, had.st_rdev);
        e.path = (char *)"/etc/passwd";
        assert_int_equal(open_external(&e, ptys, 0), -EINVAL);
}

/* One that fails leaves none open; one that is not declared is left out. */
static void test_several(void **state) {
        External good = external(EXTERNAL__KIND__PIPE, NULL), bad = external((External__Kind)77, NULL);
        const RestoreJob job = {0};
        External *items[] = {&good, &bad};
        int before = dup(0), after;
        Tree tree = TREE__INIT;
        Outside o = {0};

        fd_close(before);
        good.restore_key = bad.restore_key = (char *)"key";
        tree.externals = items;
        tree.n_externals = 2;
        assert_int_equal(outside_open(&job, &tree, &o), -EBADMSG);
        assert_int_equal(o.n, 0);
        after = dup(0);
        assert_int_equal(after, before);
        fd_close(after);
        bad.restore_key = (char *)"";
        assert_int_equal(outside_open(&job, &tree, &o), 0);
        assert_int_equal(o.n, 1);
        outside_close(&o);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                        cmocka_unit_test(test_fifo),     cmocka_unit_test(test_no_fifo),
                        cmocka_unit_test(test_journal),  cmocka_unit_test(test_dead_ends),
                        cmocka_unit_test(test_terminal), cmocka_unit_test(test_several),
        };

        int r = own_run();

        return r ?: cmocka_run_group_tests(tests, NULL, NULL);
}

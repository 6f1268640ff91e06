/* SPDX-License-Identifier: GPL-2.0-or-later */

/* Who has connected, with real processes: polkit must be asked about that one, and about no other that has
 * its number by now. */

#include "varlink/peer.h"

#include "base/fd.h"
#include "proc/procfs.h"

#include <errno.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#define USER 1000

static int listener;
static struct sockaddr_un address = {.sun_family = AF_UNIX};
static socklen_t length;

static int begin(void **state) {
        (void)state;
        if (geteuid() != 0)
                skip();
        listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
        assert_true(listener >= 0);
        length = sizeof(sa_family_t); /* the kernel finds an abstract name */
        assert_int_equal(bind(listener, (struct sockaddr *)&address, length), 0);
        length = sizeof address;
        assert_int_equal(getsockname(listener, (struct sockaddr *)&address, &length), 0);
        assert_int_equal(listen(listener, 1), 0);
        return 0;
}

static int end(void **state) {
        (void)state;
        (void)close(listener);
        return 0;
}

static int connection(uid_t user) {
        int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

        if (user != 0 && seteuid(user) < 0)
                return -1;
        if (connect(fd, (struct sockaddr *)&address, length) < 0)
                return -1;
        return fd;
}

static void test_root(void **state) {
        int fd = connection(0), peer_fd = accept(listener, NULL, NULL);
        PolkitSubject peer;

        (void)state;
        assert_int_equal(peer_of(peer_fd, &peer), 0);
        assert_true(peer.uid == 0 && peer.pid == getpid() && peer.pidfd == -1);
        (void)close(fd);
        (void)close(peer_fd);
}

/* It has become root since, and counts as who it was. */
static void test_user(void **state) {
        int fd = connection(USER), peer_fd = accept(listener, NULL, NULL);
        PolkitSubject peer;
        uint64_t start;

        (void)state;
        assert_int_equal(seteuid(0), 0);
        assert_int_equal(peer_of(peer_fd, &peer), 0);
        assert_int_equal(process_start_time(getpid(), &start), 0);
        assert_true(peer.uid == USER && peer.pid == getpid() && peer.start == start);
        closep(&peer.pidfd);
        (void)close(fd);
        (void)close(peer_fd);
}

/* A process that connects, and then ends or waits. */
static pid_t other(bool ends) {
        pid_t pid = fork();

        assert_true(pid >= 0);
        if (pid > 0)
                return pid;
        if (connection(USER) < 0)
                _exit(1);
        if (!ends)
                (void)pause();
        _exit(0);
}

static void test_ended(void **state) {
        pid_t pid = other(true);
        PolkitSubject peer;
        int peer_fd, status;

        (void)state;
        assert_int_equal(waitpid(pid, &status, 0), pid);
        assert_int_equal(status, 0);
        peer_fd = accept(listener, NULL, NULL);
        assert_int_equal(peer_of(peer_fd, &peer), -ESRCH);
        (void)close(peer_fd);
}

/* As one that has taken the number since. */
static void test_younger(void **state) {
        uint64_t own, start;
        PolkitSubject peer;
        int peer_fd, r;
        pid_t pid;

        (void)state;
        assert_int_equal(process_start_time(getpid(), &own), 0);
        for (;;) { /* until the clock of processes has gone on */
                pid = other(false);
                assert_int_equal(process_start_time(pid, &start), 0);
                peer_fd = accept(listener, NULL, NULL);
                r = peer_of(peer_fd, &peer);
                (void)kill(pid, SIGKILL);
                assert_int_equal(waitpid(pid, NULL, 0), pid);
                (void)close(peer_fd);
                if (start > own)
                        break;
                closep(&peer.pidfd);
        }
        assert_int_equal(r, -ESRCH);
}

static void test_no_socket(void **state) {
        PolkitSubject peer;
        int ends[2];

        (void)state;
        assert_int_equal(pipe(ends), 0);
        assert_int_equal(peer_of(ends[0], &peer), -ENOTSOCK);
        (void)close(ends[0]);
        (void)close(ends[1]);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                        cmocka_unit_test_setup_teardown(test_root, begin, end),
                        cmocka_unit_test_setup_teardown(test_user, begin, end),
                        cmocka_unit_test_setup_teardown(test_ended, begin, end),
                        cmocka_unit_test_setup_teardown(test_younger, begin, end),
                        cmocka_unit_test(test_no_socket),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}

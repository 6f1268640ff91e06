/* SPDX-License-Identifier: GPL-2.0-or-later */

/* What a snapshot tells of the kinds that preflight names (docs/KINDS.md), of this test itself and its
 * children. */

#include "base/cleanup.h"
#include "base/fd.h"
#include "kernel/memory.h"
#include "proc/huge.h"
#include "proc/procfs.h"
#include "tests/unit/child.h"
#include "tests/unit/look.h"

#include <errno.h>
#include <fcntl.h>
#include <net/if.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <netinet/udp.h>
#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/inotify.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/timerfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

/* Nothing is cleaned up behind skip(), and the address sanitizer minds. */
static void skip_and_free(Snapshot **s) {
        *s = snapshot_free(*s);
        skip();
}

static void watch(int epoll, int fd) {
        struct epoll_event event = {.events = EPOLLIN};

        assert_int_equal(epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event), 0);
}

/* The parent has the lower number and comes first: what it watches, the child may have closed, and not the
 * other way round. */
static void test_epoll(void **state) {
        int epoll = epoll_create1(EPOLL_CLOEXEC), own = epoll_create1(EPOLL_CLOEXEC), pair[2], moved;
        _cleanup_(snapshot_freep) Snapshot *s = NULL;
        const SnapProcess *p;
        struct stat st;
        pid_t child;

        (void)state;
        assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
        assert_int_equal(fstat(pair[0], &st), 0);
        watch(epoll, pair[0]);
        watch(own, epoll); /* anonymous ones are known by their number */
        child = child_start(NULL, pair[0]);
        assert_true(child > getpid());
        p = look_at(getpid(), &s);
        assert_false(fd_of(p, epoll)->has_stray || fd_of(p, own)->has_stray);
        p = snapshot_process(s, child);
        assert_false(fd_of(p, epoll)->has_stray);
        moved = fcntl(pair[0], F_DUPFD_CLOEXEC, 100); /* CRIU finds it by another number, too */
        close(pair[0]);
        p = look_at(getpid(), &s);
        assert_false(fd_of(p, epoll)->has_stray);
        child_end(child);
        child = child_start(NULL, -1);
        close(moved);
        p = look_at(getpid(), &s);
        assert_true(fd_of(p, epoll)->has_stray);
        assert_int_equal(fd_of(p, epoll)->stray, pair[0]);
        assert_true(fd_of(p, epoll)->stray_ino == st.st_ino);
        assert_false(fd_of(snapshot_process(s, child), epoll)->has_stray);
        child_end(child);
        close(pair[1]);
        close(own);
        close(epoll);
}

/* Watches two files without an inode of their own, which had the same number and have other ones now. */
static int watch_anonymous(int moved[static 2]) {
        int epoll = epoll_create1(EPOLL_CLOEXEC);

        for (size_t i = 0; i < 2; i++) {
                int fd = i == 0 ? eventfd(0, EFD_CLOEXEC) : timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC);

                watch(epoll, fd);
                moved[i] = fcntl(fd, F_DUPFD_CLOEXEC, 100);
                assert_true(moved[i] >= 100);
                close(fd);
        }
        return epoll;
}

static void test_epoll_anonymous(void **state) {
        int other = eventfd(0, EFD_CLOEXEC), moved[2];

        (void)state;
        for (size_t i = 0; i < 2; i++) {
                _cleanup_(snapshot_freep) Snapshot *s = NULL;
                int epoll = watch_anonymous(moved);
                const SnapProcess *p = look_at(getpid(), &s);
                pid_t child = child_start(NULL, -1);

                assert_false(fd_of(p, epoll)->has_stray);
                close(moved[i]); /* the child has it, and we have the other one */
                p = look_at(getpid(), &s);
                assert_true(fd_of(p, epoll)->has_stray);
                assert_false(fd_of(snapshot_process(s, child), epoll)->has_stray);
                child_end(child);
                p = look_at(getpid(), &s); /* nobody has it, and nobody watches it */
                assert_false(fd_of(p, epoll)->has_stray);
                close(moved[!i]);
                close(epoll);
        }
        close(other);
}

static void test_in_flight(void **state) {
        char control[CMSG_SPACE(2 * sizeof(int))] = {0}, byte = 'x';
        struct iovec iov = {&byte, 1};
        struct msghdr m = {.msg_iov = &iov,
                           .msg_iovlen = 1,
                           .msg_control = control,
                           .msg_controllen = sizeof control};
        struct cmsghdr *c = CMSG_FIRSTHDR(&m);
        _cleanup_(snapshot_freep) Snapshot *s = NULL;
        const SnapProcess *p;
        int pair[2];

        (void)state;
        assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
        *c = (struct cmsghdr){CMSG_LEN(2 * sizeof(int)), SOL_SOCKET, SCM_RIGHTS};
        memcpy(CMSG_DATA(c), (int[]){0, 1}, 2 * sizeof(int));
        assert_int_equal(sendmsg(pair[0], &m, 0), 1);
        p = look_at(getpid(), &s);
        assert_int_equal(fd_of(p, pair[1])->in_flight, 2);
        assert_int_equal(fd_of(p, pair[0])->in_flight, 0);
        close(pair[0]);
        close(pair[1]);
}

static void test_trapped(void **state) {
        _cleanup_(snapshot_freep) Snapshot *s = NULL;
        sigset_t trap, old;

        (void)state;
        sigemptyset(&trap);
        sigaddset(&trap, SIGTRAP);
        assert_int_equal(sigprocmask(SIG_BLOCK, &trap, &old), 0);
        assert_false(look_at(getpid(), &s)->trapped);
        assert_int_equal(raise(SIGTRAP), 0); /* of the thread alone */
        assert_true(look_at(getpid(), &s)->trapped);
        assert_int_equal(sigtimedwait(&trap, NULL, &(struct timespec){0}), SIGTRAP);
        assert_int_equal(kill(getpid(), SIGTRAP), 0);
        assert_true(look_at(getpid(), &s)->trapped);
        assert_int_equal(sigtimedwait(&trap, NULL, &(struct timespec){0}), SIGTRAP);
        assert_int_equal(sigprocmask(SIG_SETMASK, &old, NULL), 0);
}

static void test_lease(void **state) {
        char path[] = "/tmp/carryover-test-XXXXXX";
        _cleanup_(snapshot_freep) Snapshot *s = NULL;
        _cleanup_(closep) int fd = mkostemp(path, O_CLOEXEC);

        (void)state;
        assert_true(fd >= 0);
        assert_int_equal(signal(SIGIO, SIG_IGN) == SIG_ERR, 0);
        if (fcntl(fd, F_SETLEASE, F_WRLCK) < 0) {
                unlink(path);
                skip(); /* not on this file system */
        }
        assert_false(fd_of(look_at(getpid(), &s), fd)->lease_breaks);
        assert_int_equal(open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC), -1);
        assert_int_equal(errno, EWOULDBLOCK);
        assert_true(fd_of(look_at(getpid(), &s), fd)->lease_breaks);
        unlink(path);
}

/* The pool may be empty: nothing is touched. */
static void test_huge(void **state) {
        _cleanup_(snapshot_freep) Snapshot *s = NULL;
        _cleanup_(closep) int fd = memfd_create("huge", MFD_CLOEXEC | MFD_HUGETLB);
        size_t size = 2u << 20;
        void *map;

        (void)state;
        if (fd >= 0) {
                assert_int_equal(ftruncate(fd, (off_t)size), 0);
                assert_int_equal(look_at(getpid(), &s)->huge_page, size);
                assert_int_equal(look_at(getpid(), &s)->huge, size);
                assert_true(s->huge_most >= size);
                close(fd);
                fd = -1;
        }
        assert_int_equal(look_at(getpid(), &s)->huge_page, 0);
        assert_int_equal(look_at(getpid(), &s)->huge, 0);
        map = mmap(NULL, size, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_HUGETLB, -1, 0);
        if (map == MAP_FAILED)
                skip_and_free(&s);
        assert_int_equal(look_at(getpid(), &s)->huge_page, size);
        assert_int_equal(look_at(getpid(), &s)->huge, size);
        munmap(map, size);
}

/* What the test itself maps meanwhile is far less than a quarter of that. */
static void test_unwritable(void **state) {
        _cleanup_(snapshot_freep) Snapshot *s = NULL;
        const size_t size = (size_t)1 << 36;
        char *map = mmap(NULL, size, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
        uint64_t with, half;

        (void)state;
        assert_true(map != MAP_FAILED);
        with = look_at(getpid(), &s)->unwritable;
        assert_true(with >= size);
        assert_int_equal(mprotect(map, size / 2, PROT_READ | PROT_WRITE), 0);
        half = look_at(getpid(), &s)->unwritable;
        assert_in_range(with - half, size / 4, size / 4 * 3);
        munmap(map, size);
        assert_in_range(half - look_at(getpid(), &s)->unwritable, size / 4, size / 4 * 3);
}

static void test_promisable(void **state) {
        (void)state;
        assert_int_equal(memory_promisable("MemTotal: 9 kB\nCommitLimit:  300 kB\nCommitted_AS: 100 kB\n"),
                         200 << 10);
        assert_int_equal(memory_promisable("MemTotal: 9 kB\nCommitLimit:  300 kB\nCommitted_AS: 301 kB\n"),
                         0);
        assert_int_equal(memory_promisable("MemTotal: 9 kB\n"), 0);
}

static void test_multicast(void **state) {
        struct ipv6_mreq six = {.ipv6mr_multiaddr.s6_addr = {0xff, 0x15, [15] = 0x77}};
        struct ip_mreqn four = {.imr_multiaddr.s_addr = htonl(0xef010203)};
        _cleanup_(closep) int member = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0),
                              other = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0),
                              both = socket(AF_INET6, SOCK_DGRAM | SOCK_CLOEXEC, 0);
        _cleanup_(snapshot_freep) Snapshot *s = NULL;
        const SnapProcess *p;

        (void)state;
        four.imr_ifindex = (int)if_nametoindex("lo");
        six.ipv6mr_interface = if_nametoindex("lo");
        assert_int_equal(setsockopt(member, IPPROTO_IP, IP_ADD_MEMBERSHIP, &four, sizeof four), 0);
        p = look_at(getpid(), &s);
        assert_int_equal(fd_of(p, member)->multicast, AF_INET);
        assert_memory_equal(fd_of(p, member)->group, "\xef\x01\x02\x03", 4);
        assert_int_equal(fd_of(p, other)->multicast, 0); /* it is somebody's, and not its own */
        if (both < 0 || setsockopt(both, IPPROTO_IPV6, IPV6_JOIN_GROUP, &six, sizeof six) < 0)
                skip_and_free(&s);
        p = look_at(getpid(), &s);
        assert_int_equal(fd_of(p, both)->multicast, AF_INET6);
        assert_memory_equal(fd_of(p, both)->group, &six.ipv6mr_multiaddr, 16);
        assert_int_equal(fd_of(p, other)->multicast, 0);
}

/* What is set is told, what is as by default is not, nor what was set to that. */
static void test_options(void **state) {
        _cleanup_(closep) int plain = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0),
                              set = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0),
                              udp = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0),
                              six = socket(AF_INET6, SOCK_DGRAM | SOCK_CLOEXEC, 0);
        struct in_addr interface = {.s_addr = htonl(INADDR_LOOPBACK)};
        _cleanup_(snapshot_freep) Snapshot *s = NULL;
        const int zero = 0, one = 1, seconds = 5000;
        const SnapProcess *p;

        (void)state;
        assert_int_equal(setsockopt(plain, IPPROTO_TCP, TCP_USER_TIMEOUT, &zero, sizeof zero), 0);
        assert_int_equal(setsockopt(set, IPPROTO_TCP, TCP_USER_TIMEOUT, &seconds, sizeof seconds), 0);
        p = look_at(getpid(), &s);
        assert_int_equal(fd_of(p, plain)->options, 0);
        assert_int_equal(fd_of(p, set)->options, OPTION_USER_TIMEOUT);
        assert_int_equal(fd_of(p, udp)->options, 0);
        assert_false(fd_of(p, udp)->is_corked || fd_of(p, set)->is_signed);
        assert_int_equal(setsockopt(set, IPPROTO_TCP, TCP_DEFER_ACCEPT, &one, sizeof one), 0);
        assert_int_equal(setsockopt(set, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one), 0);
        assert_int_equal(setsockopt(udp, IPPROTO_IP, IP_MULTICAST_IF, &interface, sizeof interface), 0);
        assert_int_equal(setsockopt(udp, IPPROTO_IP, IP_MULTICAST_LOOP, &zero, sizeof zero), 0);
        assert_int_equal(setsockopt(udp, IPPROTO_UDP, UDP_CORK, &one, sizeof one), 0);
        if (six >= 0)
                assert_int_equal(setsockopt(six, IPPROTO_IPV6, IPV6_MULTICAST_IF, &one, sizeof one), 0);
        p = look_at(getpid(), &s);
        assert_int_equal(fd_of(p, set)->options, OPTION_USER_TIMEOUT | OPTION_DEFER_ACCEPT | OPTION_NODELAY);
        assert_int_equal(fd_of(p, udp)->options, OPTION_MULTICAST_IF | OPTION_MULTICAST_LOOP);
        assert_true(fd_of(p, udp)->is_corked);
        if (six >= 0)
                assert_int_equal(fd_of(p, six)->options, OPTION_MULTICAST_IF);
}

static void test_unread_events(void **state) {
        char path[] = "/tmp/carryover-test-XXXXXX", events[4096];
        _cleanup_(closep) int file = mkstemp(path), watch = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
        _cleanup_(snapshot_freep) Snapshot *s = NULL;

        (void)state;
        assert_true(file >= 0 && inotify_add_watch(watch, path, IN_MODIFY) >= 0);
        assert_int_equal(fd_of(look_at(getpid(), &s), watch)->unread, 0);
        assert_int_equal(write(file, "x", 1), 1);
        assert_int_equal(fd_of(look_at(getpid(), &s), watch)->unread, sizeof(struct inotify_event));
        assert_true(read(watch, events, sizeof events) > 0);
        assert_int_equal(fd_of(look_at(getpid(), &s), watch)->unread, 0);
        unlink(path);
}

/* One that has nothing in it yet, and the same with a script. */
static void test_memfd(void **state) {
        _cleanup_(closep) int memory = memfd_create("x", MFD_CLOEXEC);
        _cleanup_(snapshot_freep) Snapshot *s = NULL;

        (void)state;
        assert_true(memory >= 0);
        assert_false(fd_of(look_at(getpid(), &s), memory)->is_program);
        assert_int_equal(write(memory, "#!/bin/true", 11), 11);
        assert_true(fd_of(look_at(getpid(), &s), memory)->is_program);
        assert_int_equal(fchmod(memory, 0600), 0);
        assert_false(fd_of(look_at(getpid(), &s), memory)->is_program);
}

static void test_no_huge_pages(void **state) {
        _cleanup_(snapshot_freep) Snapshot *s = NULL;

        (void)state;
        assert_false(look_at(getpid(), &s)->no_thp);
        assert_int_equal(prctl(PR_SET_THP_DISABLE, 1, 0, 0, 0), 0);
        assert_true(look_at(getpid(), &s)->no_thp);
        assert_int_equal(prctl(PR_SET_THP_DISABLE, 0, 0, 0, 0), 0);
}

typedef struct Sleeper {
        pthread_barrier_t barrier;
        pid_t tid;
} Sleeper;

static void *sleep_late(void *userdata) {
        Sleeper *x = userdata;

        x->tid = gettid();
        (void)prctl(PR_SET_TIMERSLACK, 777777, 0, 0, 0);
        (void)pthread_barrier_wait(&x->barrier);
        (void)pthread_barrier_wait(&x->barrier);
        return NULL;
}

static bool has_slack(const SnapProcess *p, pid_t tid, uint64_t nsec) {
        for (size_t i = 0; i < p->n_slacks; i++)
                if (p->slacks[i].tid == tid)
                        return p->slacks[i].nsec == nsec;
        return false;
}

/* Each thread has its own. Root alone may ask for another process's. */
static void test_timer_slack(void **state) {
        _cleanup_(snapshot_freep) Snapshot *s = NULL;
        const SnapProcess *p;
        pthread_t thread;
        Sleeper x;

        (void)state;
        if (geteuid() != 0)
                skip();
        assert_int_equal(look_at(getpid(), &s)->n_slacks, 0);
        assert_int_equal(pthread_barrier_init(&x.barrier, NULL, 2), 0);
        assert_int_equal(pthread_create(&thread, NULL, sleep_late, &x), 0);
        (void)pthread_barrier_wait(&x.barrier);
        p = look_at(getpid(), &s);
        assert_int_equal(p->n_slacks, 1);
        assert_true(has_slack(p, x.tid, 777777));
        assert_int_equal(prctl(PR_SET_TIMERSLACK, 123456, 0, 0, 0), 0);
        p = look_at(getpid(), &s);
        assert_int_equal(p->n_slacks, 2);
        assert_true(has_slack(p, x.tid, 777777) && has_slack(p, getpid(), 123456));
        (void)pthread_barrier_wait(&x.barrier);
        assert_int_equal(pthread_join(thread, NULL), 0);
        assert_int_equal(prctl(PR_SET_TIMERSLACK, 0, 0, 0, 0), 0);
        assert_int_equal(look_at(getpid(), &s)->n_slacks, 0);
        assert_int_equal(pthread_barrier_destroy(&x.barrier), 0);
}

/* In a child: nobody can give a cookie back. */
static void test_core_scheduling(void **state) {
        _cleanup_(snapshot_freep) Snapshot *s = NULL;
        pid_t child = child_start(NULL, -1);
        int r = prctl(PR_SCHED_CORE, PR_SCHED_CORE_GET, getpid(), 0, &(uint64_t){0});

        (void)state;
        assert_false(look_at(child, &s)->has_core);
        if (r == 0) {
                assert_int_equal(prctl(PR_SCHED_CORE, PR_SCHED_CORE_CREATE, child, 1, 0), 0);
                assert_true(look_at(child, &s)->has_core);
        }
        child_end(child);
        if (r != 0)
                skip_and_free(&s);
}

/* What is sealed stays so until its process ends. */
static _Noreturn void seal_and_wait(int ready) {
        void *memory = mmap(NULL, 4096, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        char answer = memory != MAP_FAILED && syscall(462, memory, 4096, 0) == 0;

        prctl(PR_SET_PDEATHSIG, SIGKILL);
        (void)!write(ready, &answer, 1);
        for (;;)
                pause();
}

static void test_sealed(void **state) {
        _cleanup_(snapshot_freep) Snapshot *s = NULL;
        char answer = 0;
        int ready[2];
        pid_t child;

        (void)state;
        assert_int_equal(pipe2(ready, O_CLOEXEC), 0);
        child = fork();
        assert_true(child >= 0);
        if (child == 0)
                seal_and_wait(ready[1]);
        assert_int_equal(read(ready[0], &answer, 1), 1);
        close(ready[0]);
        close(ready[1]);
        if (answer) {
                assert_true(look_at(child, &s)->sealed);
                assert_false(snapshot_process(s, getpid())->sealed);
        }
        child_end(child);
        if (!answer)
                skip();
}

static void test_stop_signal(void **state) {
        _cleanup_(snapshot_freep) Snapshot *s = NULL;
        pid_t child = child_start(NULL, -1);
        siginfo_t how;

        (void)state;
        assert_int_equal(look_at(child, &s)->stop_signal, 0);
        assert_int_equal(kill(child, SIGSTOP), 0);
        assert_int_equal(waitid(P_PID, (id_t)child, &how, WSTOPPED | WNOWAIT), 0);
        assert_int_equal(look_at(child, &s)->stop_signal, SIGSTOP);
        child_end(child);
}

static void test_reset_on_fork(void **state) {
        _cleanup_(snapshot_freep) Snapshot *s = NULL;
        pid_t child = child_start(NULL, -1);
        struct sched_param none = {0};

        (void)state;
        assert_false(look_at(child, &s)->resets);
        assert_int_equal(sched_setscheduler(child, SCHED_BATCH | SCHED_RESET_ON_FORK, &none), 0);
        assert_true(look_at(child, &s)->resets);
        child_end(child);
}

/* Our own program is one of 64 bits, as all of its children. */
static void test_not_32bit(void **state) {
        _cleanup_(snapshot_freep) Snapshot *s = NULL;

        (void)state;
        assert_int_equal(look_at(getpid(), &s)->is_32bit, sizeof(void *) == 4);
}

/* Only root is told; and not every kernel can sign. */
static void test_signed(void **state) {
        struct tcp_md5sig key = {.tcpm_keylen = 4, .tcpm_key = "key"};
        struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
        _cleanup_(closep) int plain = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0),
                              sign = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
        _cleanup_(snapshot_freep) Snapshot *s = NULL;
        const SnapProcess *p;

        (void)state;
        memcpy(&key.tcpm_addr, &a, sizeof a);
        if (geteuid() != 0 || setsockopt(sign, IPPROTO_TCP, TCP_MD5SIG, &key, sizeof key) < 0)
                skip();
        assert_int_equal(bind(sign, (void *)&a, sizeof a), 0);
        assert_int_equal(listen(sign, 1), 0);
        assert_int_equal(bind(plain, (void *)&a, sizeof a), 0);
        assert_int_equal(listen(plain, 1), 0);
        p = look_at(getpid(), &s);
        if (s->no_diag)
                skip_and_free(&s);
        assert_true(snapshot_inet(s, fd_of(p, sign)->ino)->is_signed);
        assert_false(snapshot_inet(s, fd_of(p, plain)->ino)->is_signed);
        assert_string_equal(snapshot_inet(s, fd_of(p, sign)->ino)->ulp, "");
}

/* Its parser is shown the kernel's answer where the kernel has it. */
static void test_ulp(void **state) {
        struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
        int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0),
            client = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
        _cleanup_(snapshot_freep) Snapshot *s = NULL;
        socklen_t l = sizeof a;
        const SnapProcess *p;
        bool can;

        (void)state;
        assert_int_equal(bind(listener, (void *)&a, sizeof a), 0);
        assert_int_equal(listen(listener, 1), 0);
        assert_int_equal(getsockname(listener, (void *)&a, &l), 0);
        assert_int_equal(connect(client, (void *)&a, sizeof a), 0);
        can = geteuid() == 0 && setsockopt(client, IPPROTO_TCP, TCP_ULP, "tls", 3) == 0;
        p = look_at(getpid(), &s);
        if (!s->no_diag)
                assert_string_equal(snapshot_inet(s, fd_of(p, client)->ino)->ulp, can ? "tls" : "");
        close(client);
        close(listener);
        if (!can || s->no_diag)
                skip_and_free(&s);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                        cmocka_unit_test(test_epoll),         cmocka_unit_test(test_epoll_anonymous),
                        cmocka_unit_test(test_in_flight),     cmocka_unit_test(test_trapped),
                        cmocka_unit_test(test_lease),         cmocka_unit_test(test_multicast),
                        cmocka_unit_test(test_huge),          cmocka_unit_test(test_signed),
                        cmocka_unit_test(test_ulp),           cmocka_unit_test(test_options),
                        cmocka_unit_test(test_unread_events), cmocka_unit_test(test_not_32bit),
                        cmocka_unit_test(test_memfd),         cmocka_unit_test(test_no_huge_pages),
                        cmocka_unit_test(test_stop_signal),   cmocka_unit_test(test_reset_on_fork),
                        cmocka_unit_test(test_unwritable),    cmocka_unit_test(test_promisable),
                        cmocka_unit_test(test_timer_slack),   cmocka_unit_test(test_core_scheduling),
                        cmocka_unit_test(test_sealed),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}

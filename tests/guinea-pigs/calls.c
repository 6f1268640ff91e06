/* SPDX-License-Identifier: GPL-2.0-or-later */

/* System calls in which a thread waits, each in two threads: in one since before the whole was stopped and
 * told to go on (the kernel has begun some of the calls again, by restart_syscall), in one since after. None
 * may end before what it waits for is there. */

#include "pig.h"

#include <fcntl.h>
#include <linux/futex.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <semaphore.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/epoll.h>
#include <sys/sem.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>

/* arm64 has only the newer ones, and libc makes these of the others. */
#ifndef SYS_poll
#define SYS_poll       SYS_ppoll
#define SYS_epoll_wait SYS_epoll_pwait
#endif

#define LONG 50 /* seconds; longer than a test takes, shorter than anybody waits for it */
#define NAP  5

static const struct timespec long_time = {.tv_sec = LONG};

typedef struct Call {
        const char *name;
        long number;
        long (*wait)(struct Call *c); /* what the call answers */
        void (*end)(struct Call *c);
        pthread_t thread;
        volatile pid_t tid;
        int fds[2], word;
        sem_t semaphore;
        long answer;
        int error;
} Call;

static long wait_poll(Call *c) {
        struct pollfd p = {.fd = c->fds[0], .events = POLLIN};

        return poll(&p, 1, LONG * 1000);
}

static int epoll_of(Call *c) {
        struct epoll_event e = {.events = EPOLLIN};
        int fd = epoll_create1(0);

        CHECK(fd >= 0 && epoll_ctl(fd, EPOLL_CTL_ADD, c->fds[0], &e) == 0);
        return fd;
}

static long wait_epoll(Call *c) {
        struct epoll_event e;

        return epoll_wait(epoll_of(c), &e, 1, LONG * 1000);
}

static long wait_epoll_pwait2(Call *c) {
        struct epoll_event e;

        return syscall(SYS_epoll_pwait2, epoll_of(c), &e, 1, &long_time, NULL, 8);
}

static void end_by_byte(Call *c) {
        pig_write(c->fds[1], "x", 1);
}

static long wait_futex(Call *c) {
        return syscall(SYS_futex, &c->word, FUTEX_WAIT_PRIVATE, 0, &long_time, NULL, 0) + 1;
}

static void end_futex(Call *c) {
        CHECK(syscall(SYS_futex, &c->word, FUTEX_WAKE_PRIVATE, 1, NULL, NULL, 0) == 1);
}

static long wait_posix(Call *c) {
        struct timespec until;

        CHECK(clock_gettime(CLOCK_REALTIME, &until) == 0);
        until.tv_sec += LONG;
        return sem_timedwait(&c->semaphore, &until) + 1;
}

static void end_posix(Call *c) {
        CHECK(sem_post(&c->semaphore) == 0);
}

static long wait_sleep(Call *c) {
        struct timespec nap = {.tv_sec = NAP}, rest, begin, end;
        int r;

        CHECK(clock_gettime(CLOCK_MONOTONIC, &begin) == 0);
        r = c->number == SYS_nanosleep ? (int)syscall(SYS_nanosleep, &nap, &rest)
                                       : clock_nanosleep(CLOCK_MONOTONIC, 0, &nap, &rest);
        CHECK(clock_gettime(CLOCK_MONOTONIC, &end) == 0);
        return r == 0 && end.tv_sec - begin.tv_sec >= NAP ? 1 : -1;
}

static void end_by_itself(Call *c) {
        (void)c;
}

static long wait_semaphore(Call *c) {
        struct sembuf take = {.sem_op = -1};

        return semtimedop(c->word, &take, 1, &long_time) + 1;
}

static void end_semaphore(Call *c) {
        struct sembuf give = {.sem_op = 1};

        CHECK(semop(c->word, &give, 1) == 0);
}

static long wait_signal(Call *c) {
        sigset_t set;

        (void)c;
        sigemptyset(&set);
        sigaddset(&set, SIGUSR2);
        return sigtimedwait(&set, NULL, &long_time) == SIGUSR2 ? 1 : -1;
}

static void end_signal(Call *c) {
        CHECK(pthread_kill(c->thread, SIGUSR2) == 0);
}

static void bound_waits(int fd) {
        struct timeval longest = {.tv_sec = LONG};

        CHECK(setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &longest, sizeof longest) == 0);
}

static long wait_receive(Call *c) {
        char byte;

        bound_waits(c->fds[0]);
        return recv(c->fds[0], &byte, 1, 0);
}

static struct sockaddr_un address_of(const Call *c) {
        struct sockaddr_un a = {.sun_family = AF_UNIX};

        snprintf(a.sun_path + 1, sizeof a.sun_path - 1, "pig-%p", (const void *)c);
        return a;
}

static long wait_accept(Call *c) {
        struct sockaddr_un a = address_of(c);
        int fd = socket(AF_UNIX, SOCK_STREAM, 0);

        CHECK(fd >= 0 && bind(fd, (struct sockaddr *)&a, sizeof a) == 0 && listen(fd, 1) == 0);
        bound_waits(fd);
        return accept(fd, NULL, NULL) >= 0 ? 1 : -1;
}

static void end_accept(Call *c) {
        struct sockaddr_un a = address_of(c);
        int fd = socket(AF_UNIX, SOCK_STREAM, 0);

        CHECK(fd >= 0 && connect(fd, (struct sockaddr *)&a, sizeof a) == 0);
}

/* The kernel begins these again when a stopped process goes on, and their number is in libc's code. */
#define BEGUN_AGAIN                                                                                         \
        {"poll", SYS_poll, wait_poll, end_by_byte}, {"sem_timedwait", SYS_futex, wait_posix, end_posix}, {  \
                "clock_nanosleep", SYS_clock_nanosleep, wait_sleep, end_by_itself                           \
        }

/* By syscall(2), or such as the kernel ends with EINTR. */
#define OTHERS                                                                                              \
        {"futex", SYS_futex, wait_futex, end_futex},                                                        \
                        {"nanosleep", SYS_nanosleep, wait_sleep, end_by_itself},                            \
                        {"epoll_wait", SYS_epoll_wait, wait_epoll, end_by_byte},                            \
                        {"epoll_pwait2", SYS_epoll_pwait2, wait_epoll_pwait2, end_by_byte},                 \
                        {"semtimedop", SYS_semtimedop, wait_semaphore, end_semaphore},                      \
                        {"sigtimedwait", SYS_rt_sigtimedwait, wait_signal, end_signal},                     \
                        {"recv", SYS_recvfrom, wait_receive, end_by_byte}, {                                \
                "accept", SYS_accept, wait_accept, end_accept                                               \
        }

static Call calls[] = {BEGUN_AGAIN, BEGUN_AGAIN, OTHERS};

#define N_STOPPED 3
#define N_CALLS   (sizeof calls / sizeof calls[0])

static void *run(void *argument) {
        Call *c = argument;

        c->tid = (pid_t)syscall(SYS_gettid);
        c->answer = c->wait(c);
        c->error = errno;
        return NULL;
}

/* Until the thread sleeps in its call. */
static void wait_asleep(const Call *c) {
        char path[64], text[128];

        for (;;) {
                long number = -1;
                ssize_t k;
                int fd;

                snprintf(path, sizeof path, "/proc/self/task/%d/syscall", (int)c->tid);
                fd = c->tid > 0 ? open(path, O_RDONLY) : -1;
                k = fd >= 0 ? read(fd, text, sizeof text - 1) : -1;
                if (fd >= 0)
                        close(fd);
                if (k > 0) {
                        text[k] = '\0';
                        number = strtol(text, NULL, 10); /* "running" is 0, and no call here */
                }
                if (number == c->number || number == SYS_restart_syscall)
                        return;
                sched_yield();
        }
}

static void start(Call *from, size_t n) {
        for (Call *c = from; c < from + n; c++) {
                CHECK(socketpair(AF_UNIX, SOCK_STREAM, 0, c->fds) == 0);
                if (c->wait == wait_semaphore)
                        CHECK((c->word = semget(IPC_PRIVATE, 1, 0600)) >= 0);
                CHECK(pthread_create(&c->thread, NULL, run, c) == 0);
        }
        for (const Call *c = from; c < from + n; c++)
                wait_asleep(c);
}

/* By a child, which lives on meanwhile. */
static void be_stopped(void) {
        pid_t me = getpid(), child = fork();
        char path[64], text[512];
        int status;

        CHECK(child >= 0);
        if (child > 0) {
                while (waitpid(child, &status, 0) < 0)
                        CHECK(errno == EINTR);
                CHECK(status == 0);
                return;
        }
        snprintf(path, sizeof path, "/proc/%d/stat", (int)me);
        CHECK(kill(me, SIGSTOP) == 0);
        for (bool stopped = false; !stopped; sched_yield()) {
                int fd = open(path, O_RDONLY);
                ssize_t k = read(fd, text, sizeof text - 1);

                CHECK(k > 0);
                text[k] = '\0';
                stopped = strstr(text, ") T ");
                close(fd);
        }
        CHECK(kill(me, SIGCONT) == 0);
        _exit(0);
}

int main(void) {
        sigset_t usr2;

        pig_begin();
        sigemptyset(&usr2);
        sigaddset(&usr2, SIGUSR2);
        CHECK(sigprocmask(SIG_BLOCK, &usr2, NULL) == 0);
        start(calls, N_STOPPED);
        be_stopped();
        start(calls + N_STOPPED, N_CALLS - N_STOPPED);
        for (size_t i = 0; i < N_STOPPED; i++)
                wait_asleep(calls + i);

        pig_wait();

        for (size_t i = 0; i < N_CALLS; i++)
                calls[i].end(calls + i);
        for (size_t i = 0; i < N_CALLS; i++) {
                CHECK(pthread_join(calls[i].thread, NULL) == 0);
                errno = calls[i].error;
                if (calls[i].answer != 1)
                        pig_fail(calls[i].name, (int)i, "the call was not interrupted");
                if (calls[i].wait == wait_semaphore)
                        CHECK(semctl(calls[i].word, 0, IPC_RMID) == 0);
        }
        pig_pass();
}

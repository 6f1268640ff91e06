/* SPDX-License-Identifier: GPL-2.0-or-later */

/* What CRIU brings back wrongly by itself: a periodic timer that has rung and was not read, and a connection
 * with itself whose other end has taken nothing of what was sent, memory that a child must not see. And an
 * alarm. */

#include "pig.h"

#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdint.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/timerfd.h>
#include <sys/wait.h>

#define LONG 1000
#define BITS 20
#define SIZE 65536

static int start_timer(void) {
        struct itimerspec often = {.it_value.tv_nsec = 100000000, .it_interval.tv_nsec = 100000000};
        struct pollfd p = {.events = POLLIN};

        p.fd = timerfd_create(CLOCK_MONOTONIC, 0);
        CHECK(p.fd >= 0 && timerfd_settime(p.fd, 0, &often, NULL) == 0);
        CHECK(poll(&p, 1, -1) == 1);
        return p.fd;
}

static void connect_to_self(int *ret_from, int *ret_to) {
        struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
        int listener = socket(AF_INET, SOCK_STREAM, 0), from = socket(AF_INET, SOCK_STREAM, 0);
        socklen_t size = sizeof a;

        CHECK(listener >= 0 && bind(listener, (struct sockaddr *)&a, size) == 0 && listen(listener, 1) == 0);
        CHECK(getsockname(listener, (struct sockaddr *)&a, &size) == 0);
        CHECK(from >= 0 && connect(from, (struct sockaddr *)&a, size) == 0);
        *ret_to = accept(listener, NULL, NULL);
        *ret_from = from;
        CHECK(*ret_to >= 0 && close(listener) == 0);
}

/* Numbers, until nothing fits any more; how many bytes. */
static size_t fill(int fd) {
        uint32_t numbers[1024], next = 0;
        size_t sent = 0;
        ssize_t k;

        CHECK(fcntl(fd, F_SETFL, O_NONBLOCK) == 0);
        for (;;) {
                size_t odd = sent % sizeof(uint32_t);

                next = (uint32_t)(sent / sizeof(uint32_t));
                for (size_t i = 0; i < sizeof numbers / sizeof numbers[0]; i++)
                        numbers[i] = next++;
                k = write(fd, (char *)numbers + odd, sizeof numbers - odd);
                if (k < 0)
                        break;
                sent += (size_t)k;
        }
        CHECK(errno == EAGAIN && sent > 1u << BITS);
        return sent;
}

static void drain(int fd, size_t sent) {
        for (uint32_t expected = 0; expected < sent / sizeof expected; expected++) {
                uint32_t number;

                pig_read(fd, &number, sizeof number);
                CHECK(number == expected);
        }
}

static char *make_secret(void) {
        char *secret = mmap(NULL, SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

        CHECK(secret != MAP_FAILED && madvise(secret, SIZE, MADV_WIPEONFORK) == 0);
        memset(secret, 's', SIZE);
        return secret;
}

static void check_secret(const char *secret) {
        int status;
        pid_t pid;

        CHECK(secret[0] == 's' && secret[SIZE - 1] == 's');
        pid = fork();
        if (pid == 0)
                _exit(secret[0] == 0 && secret[SIZE - 1] == 0 ? 0 : 1);
        CHECK(waitpid(pid, &status, 0) == pid && status == 0);
}

int main(void) {
        uint64_t ticks;
        size_t sent;
        int timer, from, to;
        char *secret;

        pig_begin();
        (void)alarm(LONG);
        connect_to_self(&from, &to);
        sent = fill(from);
        secret = make_secret();
        timer = start_timer();

        pig_wait();

        for (int i = 0; i < 3; i++)
                CHECK(read(timer, &ticks, sizeof ticks) == sizeof ticks && ticks >= 1);
        drain(to, sent);
        CHECK(alarm(0) > LONG / 2);
        check_secret(secret);
        pig_pass();
}

/* SPDX-License-Identifier: GPL-2.0-or-later */

/* Pipes inside the tree: unread data, size, O_NONBLOCK, and a child that goes on writing. */

#include "pig.h"

#include <fcntl.h>
#include <sys/wait.h>

#define BUFFERED 100000

static char byte_at(int i) {
        return (char)(i * 7 + i / 256);
}

static _Noreturn void child(int orders, int out) {
        char order;

        pig_read(orders, &order, 1);
        pig_write(out, "written later", 13);
        _exit(order == 'w' ? 0 : 1);
}

int main(void) {
        static char data[BUFFERED];
        int full[2], orders[2], status, size;
        pid_t pid;

        pig_begin();
        CHECK(pipe2(full, O_CLOEXEC) == 0 && pipe(orders) == 0);
        size = fcntl(full[1], F_SETPIPE_SZ, 262144);
        CHECK(size >= 262144);
        CHECK(fcntl(full[0], F_SETFL, O_NONBLOCK) == 0);
        for (int i = 0; i < BUFFERED; i++)
                data[i] = byte_at(i);
        pig_write(full[1], data, BUFFERED);
        pid = fork();
        CHECK(pid >= 0);
        if (pid == 0)
                child(orders[0], full[1]);

        pig_wait();

        CHECK(fcntl(full[0], F_GETPIPE_SZ) == size);
        CHECK(fcntl(full[0], F_GETFL) & O_NONBLOCK);
        CHECK(!(fcntl(full[1], F_GETFL) & O_NONBLOCK));
        CHECK(fcntl(full[0], F_GETFD) == FD_CLOEXEC);
        memset(data, 0, BUFFERED);
        pig_read(full[0], data, BUFFERED);
        for (int i = 0; i < BUFFERED; i++)
                CHECK(data[i] == byte_at(i));
        CHECK(read(full[0], data, 1) < 0 && errno == EAGAIN);
        pig_write(orders[1], "w", 1);
        CHECK(waitpid(pid, &status, 0) == pid && status == 0);
        pig_read(full[0], data, 13);
        CHECK(memcmp(data, "written later", 13) == 0);
        CHECK(close(full[1]) == 0 && read(full[0], data, 1) == 0);
        pig_pass();
}

/* SPDX-License-Identifier: GPL-2.0-or-later */

/* flock(2) and a POSIX range lock. A child, whose locks are its own, finds both taken. */

#include "pig.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/wait.h>

static int make_file(char path[static 32]) {
        int fd;

        strcpy(path, "/tmp/pig-lock-XXXXXX");
        fd = mkstemp(path);
        CHECK(fd >= 0 && ftruncate(fd, 100) == 0);
        return fd;
}

static _Noreturn void other(const char *whole, const char *range) {
        struct flock lock = {.l_type = F_RDLCK, .l_start = 15, .l_len = 1};
        int fd = open(whole, O_RDWR);

        CHECK(fd >= 0 && flock(fd, LOCK_SH | LOCK_NB) < 0 && errno == EWOULDBLOCK);
        fd = open(range, O_RDWR);
        CHECK(fd >= 0 && fcntl(fd, F_GETLK, &lock) == 0);
        CHECK(lock.l_type == F_WRLCK && lock.l_start == 10 && lock.l_len == 20 && lock.l_pid == getppid());
        lock = (struct flock){.l_type = F_WRLCK, .l_start = 0, .l_len = 10};
        CHECK(fcntl(fd, F_SETLK, &lock) == 0); /* beside it */
        _exit(0);
}

int main(void) {
        struct flock lock = {.l_type = F_WRLCK, .l_start = 10, .l_len = 20};
        char whole[32], range[32];
        int by_flock, by_fcntl, status;
        pid_t pid;

        pig_begin();
        by_flock = make_file(whole);
        by_fcntl = make_file(range);
        CHECK(flock(by_flock, LOCK_EX) == 0);
        CHECK(fcntl(by_fcntl, F_SETLK, &lock) == 0);

        pig_wait();

        pid = fork();
        CHECK(pid >= 0);
        if (pid == 0)
                other(whole, range);
        CHECK(waitpid(pid, &status, 0) == pid && status == 0);
        CHECK(unlink(whole) == 0 && unlink(range) == 0);
        pig_pass();
}

/* SPDX-License-Identifier: GPL-2.0-or-later */

/* A user's directories in /dev/shm: in one a socket is bound, in the other a file was deleted. */

#include "pig.h"

#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include <fcntl.h>

#define JOE 1000

static void make_directory(const char *path) {
        CHECK(mkdir(path, 0755) == 0 && chown(path, JOE, JOE) == 0);
}

int main(void) {
        static const struct sockaddr_un name = {AF_UNIX, "/dev/shm/joe/bound/socket"};
        int server = socket(AF_UNIX, SOCK_STREAM, 0), client = socket(AF_UNIX, SOCK_STREAM, 0), gone;
        char data[8] = {0};

        pig_begin();
        CHECK(mkdir("/dev/shm", 0755) == 0 || errno == EEXIST);
        CHECK(chmod("/dev/shm", 01777) == 0);
        make_directory("/dev/shm/joe");
        make_directory("/dev/shm/joe/bound");
        make_directory("/dev/shm/joe/gone");
        CHECK(bind(server, (const struct sockaddr *)&name, sizeof name) == 0 && listen(server, 3) == 0);
        gone = open("/dev/shm/joe/gone/file", O_RDWR | O_CREAT | O_EXCL, 0644);
        CHECK(gone >= 0 && unlink("/dev/shm/joe/gone/file") == 0);
        pig_write(gone, "secret", 6);

        pig_wait();

        CHECK(connect(client, (const struct sockaddr *)&name, sizeof name) == 0);
        CHECK(pread(gone, data, 6, 0) == 6 && strcmp(data, "secret") == 0);
        pig_pass();
}

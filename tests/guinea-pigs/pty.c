/* SPDX-License-Identifier: GPL-2.0-or-later */

/* A terminal with both ends in the tree, as an ssh session has one: index, size, modes, the controlling
 * terminal and the foreground group of the child's session, and bytes both ways. */

#include "pig.h"

#include <fcntl.h>
#include <sys/ioctl.h>
#include <sys/wait.h>
#include <termios.h>

static _Noreturn void child(const char *slave_name, int ready) {
        int slave, tty;
        char line[16];

        CHECK(setsid() == getpid());
        slave = open(slave_name, O_RDWR);
        CHECK(slave >= 0);
        pig_write(ready, "x", 1);
        pig_read(slave, line, 6); /* the second life begins here */
        CHECK(memcmp(line, "hello\n", 6) == 0);
        tty = open("/dev/tty", O_RDWR);
        CHECK(tty >= 0);
        CHECK(tcgetsid(tty) == getpid() && tcgetpgrp(tty) == getpid());
        pig_write(tty, "world", 5);
        _exit(0);
}

int main(void) {
        struct winsize size = {.ws_row = 33, .ws_col = 77}, now = {0};
        struct termios modes;
        int master, ready[2], status;
        unsigned before, after;
        char name[64], echo[16];
        pid_t pid;

        pig_begin();
        master = posix_openpt(O_RDWR | O_NOCTTY);
        CHECK(master >= 0 && grantpt(master) == 0 && unlockpt(master) == 0);
        CHECK(ptsname_r(master, name, sizeof name) == 0);
        CHECK(ioctl(master, TIOCSWINSZ, &size) == 0);
        CHECK(ioctl(master, TIOCGPTN, &before) == 0);
        CHECK(tcgetattr(master, &modes) == 0);
        modes.c_oflag &= ~(tcflag_t)OPOST;
        modes.c_lflag &= ~(tcflag_t)ECHO;
        modes.c_cc[VERASE] = 'Q';
        CHECK(tcsetattr(master, TCSANOW, &modes) == 0);
        CHECK(pipe(ready) == 0);
        pid = fork();
        CHECK(pid >= 0);
        if (pid == 0)
                child(name, ready[1]);
        pig_read(ready[0], echo, 1);

        pig_wait();

        CHECK(ioctl(master, TIOCGPTN, &after) == 0 && after == before);
        CHECK(ioctl(master, TIOCGWINSZ, &now) == 0 && now.ws_row == 33 && now.ws_col == 77);
        CHECK(tcgetattr(master, &modes) == 0);
        CHECK(!(modes.c_oflag & OPOST) && !(modes.c_lflag & ECHO) && modes.c_cc[VERASE] == 'Q');
        pig_write(master, "hello\n", 6);
        pig_read(master, echo, 5);
        CHECK(memcmp(echo, "world", 5) == 0);
        CHECK(waitpid(pid, &status, 0) == pid && status == 0);
        pig_pass();
}

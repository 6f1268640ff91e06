/* SPDX-License-Identifier: GPL-2.0-or-later */

/* Read without stdio, which would take more than one line: the rest is the shell's. */

#include "tty/ask.h"

#include "base/fd.h"

#include <errno.h>
#include <stdbool.h>
#include <string.h>
#include <strings.h>
#include <termios.h>
#include <unistd.h>

#define ANSWER_SIZE 8u /* "yes", and whether there is more */

/* Up to the end of its line, however long that is. false: there is none. */
static bool read_line(int fd, char line[static ANSWER_SIZE]) {
        size_t n = 0;
        ssize_t got;
        char c;

        for (;;) {
                got = read(fd, &c, 1);
                if (got < 0 && errno == EINTR)
                        continue;
                if (got <= 0)
                        return false;
                if (c == '\n' || c == '\r')
                        break;
                if (n < ANSWER_SIZE - 1)
                        line[n++] = c;
        }
        line[n] = '\0';
        return true;
}

int terminal_ask(const char *question) {
        char line[ANSWER_SIZE];
        int r;

        if (!isatty(STDIN_FILENO) || !isatty(STDOUT_FILENO))
                return -ENOTTY;
        (void)tcflush(STDIN_FILENO, TCIFLUSH);
        r = fd_write_all(STDOUT_FILENO, question, strlen(question));
        if (r < 0)
                return r;
        if (!read_line(STDIN_FILENO, line)) {
                (void)fd_write_all(STDOUT_FILENO, "\n", 1);
                return 0;
        }
        return strcasecmp(line, "y") == 0 || strcasecmp(line, "yes") == 0;
}

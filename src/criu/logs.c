/* SPDX-License-Identifier: GPL-2.0-or-later */

/* What CRIU says of itself. */

#include "base/cleanup.h"
#include "base/err.h"
#include "base/fd.h"
#include "base/text.h"
#include "criu/criu.h"

#include <ctype.h>
#include <dirent.h>
#include <fcntl.h>
#include <fnmatch.h>
#include <string.h>
#include <sys/sendfile.h>
#include <unistd.h>

/* A line of the log that is a sentence for people; a path may be in it. */
#define REASON_MAX 400u

/* Errors that CRIU logs and gets over: what it finds missing when it looks around for the first time after a
 * boot, and the limit of its own descriptors where it lacks CAP_SYS_RESOURCE. */
static bool is_noise(const char *text) {
        static const char *const noise[] = {
                        "exited, status=", /* of iptables */
                        "tun: Unable to create tun",
                        "rlimit: Can't setup RLIMIT_NOFILE for self",
        };

        for (size_t i = 0; i < ELEMENTS(noise); i++)
                if (starts_with(text, noise[i]))
                        return true;
        return false;
}

/* The sentence of a log line "(00.012)   17: Error (criu/x.c:12): sentence", or NULL. */
static char *error_of_line(char *line) {
        char *text = strstr(line, "Error (");

        if (!text || !(text = strstr(text, "): ")))
                return NULL;
        text += 3;
        for (char *c = text; *c; c++)
                if (iscntrl((unsigned char)*c))
                        *c = *c == '\n' ? '\0' : ' ';
        if (strlen(text) > REASON_MAX)
                text[REASON_MAX] = '\0';
        return text;
}

int criu_log_error(int images_fd, const char *log, char **ret) {
        _cleanup_(freep) char *line = NULL, *found = NULL;
        _cleanup_(fclosep) FILE *file = NULL;
        size_t room = 0;
        int fd;

        fd = openat(images_fd, log, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
        if (fd < 0)
                return err_born(-errno, "cannot read CRIU's %s", log);
        file = fdopen(fd, "re");
        if (!file) {
                fd_close(fd);
                return err_born(-errno, "cannot read CRIU's %s", log);
        }
        while (!found && getline(&line, &room, file) >= 0) {
                const char *text = error_of_line(line);

                if (text && *text && !is_noise(text) && !(found = strdup(text)))
                        return -ENOMEM;
        }
        if (!found && !(found = strdup("")))
                return -ENOMEM;
        *ret = TAKE(found);
        return 0;
}

static int append(int from_fd, int to_fd, const char *name) {
        _cleanup_(closep) int from = openat(from_fd, name, O_RDONLY | O_NOFOLLOW | O_CLOEXEC), to = -1;
        ssize_t n;

        to = openat(to_fd, name, O_WRONLY | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600);
        if (from < 0 || to < 0 || lseek(to, 0, SEEK_END) < 0)
                return err_born(-errno, "cannot rotate CRIU's %s", name);
        while ((n = sendfile(to, from, NULL, 1u << 20)) > 0)
                ;
        return n < 0 ? err_born(-errno, "cannot rotate CRIU's %s", name) : 0;
}

int criu_keep_logs(int from_fd, int to_fd) {
        _cleanup_(closedirp) DIR *d = NULL;
        struct dirent *e;
        int fd = openat(from_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC), r = 0;

        d = fd < 0 ? NULL : fdopendir(fd);
        if (!d) {
                fd_close(fd);
                return err_born(-errno, "cannot list CRIU's logs");
        }
        while (r >= 0 && (e = readdir(d)))
                if (fnmatch("*.log*", e->d_name, 0) == 0 || strcmp(e->d_name, "criu.out") == 0)
                        r = append(from_fd, to_fd, e->d_name);
        return r < 0 ? err_pass(r) : 0;
}

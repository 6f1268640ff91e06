/* SPDX-License-Identifier: GPL-2.0-or-later */

#include "base/cleanup.h"
#include "base/err.h"
#include "base/fd.h"
#include "sys/criu.h"

#include <dirent.h>
#include <fcntl.h>
#include <fnmatch.h>
#include <string.h>
#include <sys/sendfile.h>
#include <unistd.h>

static int append(int from_fd, int to_fd, const char *name) {
        _cleanup_(closep) int from = openat(from_fd, name, O_RDONLY | O_NOFOLLOW | O_CLOEXEC), to = -1;
        ssize_t n;

        to = openat(to_fd, name, O_WRONLY | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600);
        if (from < 0 || to < 0 || lseek(to, 0, SEEK_END) < 0)
                return err_born(-errno, "cannot keep CRIU's %s", name);
        while ((n = sendfile(to, from, NULL, 1u << 20)) > 0)
                ;
        return n < 0 ? err_born(-errno, "cannot keep CRIU's %s", name) : 0;
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

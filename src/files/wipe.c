/* SPDX-License-Identifier: GPL-2.0-or-later */

#include "files/wipe.h"

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/err.h"
#include "base/fd.h"

#include <fcntl.h>
#include <linux/ioprio.h>
#include <linux/magic.h>
#include <poll.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/syscall.h>
#include <unistd.h>

/* Not in all versions of linux/magic.h. */
#define XFS_MAGIC 0x58465342

/* Between two looks at the clock and the disk; what waits in memory for the disk stays as small. */
#define STRETCH (16u << 20)

bool wipe_reaches(int dir_fd) {
        struct statfs fs;

        if (fstatfs(dir_fd, &fs) < 0)
                return false;
        return fs.f_type == EXT4_SUPER_MAGIC || fs.f_type == XFS_MAGIC; /* ext2 and ext3 have ext4's */
}

void wipe_quietly(void) {
        (void)syscall(SYS_ioprio_set, IOPRIO_WHO_PROCESS, 0, IOPRIO_PRIO_VALUE(IOPRIO_CLASS_IDLE, 0));
        (void)setpriority(PRIO_PROCESS, 0, 19);
}

static int zeros_write(int fd, off_t from, off_t to) {
        static const char zeros[65536];

        while (from < to) {
                size_t want = to - from < (off_t)sizeof zeros ? (size_t)(to - from) : sizeof zeros;
                ssize_t k = pwrite(fd, zeros, want, from);

                if (k < 0 && errno == EINTR)
                        continue;
                if (k < 0)
                        return err_born(-errno, "cannot overwrite an image");
                from += k;
        }
        if (fdatasync(fd) < 0)
                return err_born(-errno, "cannot overwrite an image on disk");
        return 0;
}

/* Answer 1: told to stop. */
static int may_go_on(uint64_t deadline, int stop_fd) {
        struct pollfd p = {.fd = stop_fd, .events = POLLIN};

        if (stop_fd >= 0 && poll(&p, 1, 0) > 0)
                return 1;
        return now_monotonic() < deadline ? 0 : err_say(-ETIMEDOUT, "overwriting the images timed out");
}

int wipe_file(int dir_fd, const char *name, uint64_t deadline_monotonic, int stop_fd) {
        _cleanup_(closep) int fd = openat(dir_fd, name, O_WRONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
        struct stat st;
        off_t at = 0;
        int r = 0;

        if (fd < 0 || fstat(fd, &st) < 0)
                return err_born(-errno, "cannot open image %s for overwriting", name);
        if (!S_ISREG(st.st_mode))
                return err_say(-EINVAL, "%s is not an image file", name);
        while (r == 0 && at < st.st_size) {
                off_t end;

                at = lseek(fd, at, SEEK_DATA);
                if (at < 0)
                        return errno == ENXIO ? 0 : err_born(-errno, "cannot read image %s", name);
                end = lseek(fd, at, SEEK_HOLE);
                if (end < 0)
                        return err_born(-errno, "cannot read image %s", name);
                if (end - at > STRETCH)
                        end = at + STRETCH;
                r = may_go_on(deadline_monotonic, stop_fd);
                if (r == 0)
                        r = zeros_write(fd, at, end);
                at = end;
        }
        return r < 0 ? err_pass(r) : r;
}

/* SPDX-License-Identifier: GPL-2.0-or-later */

#include "files/memory.h"

#include "base/cleanup.h"
#include "base/err.h"
#include "base/fd.h"
#include "base/text.h"

#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/sysinfo.h>
#include <unistd.h>

uint64_t memory_total(void) {
        struct sysinfo info;

        return sysinfo(&info) < 0 ? 0 : (uint64_t)info.totalram * info.mem_unit;
}

int memory_available(uint64_t *ret_bytes) {
        static const char label[] = "\nMemAvailable:";
        _cleanup_(freep) char *text = NULL;
        uint64_t kib;
        char *line;
        int r;

        r = file_slurp(AT_FDCWD, "/proc/meminfo", 65536, &text, NULL);
        if (r < 0)
                return err_pass(r);
        line = strstr(text, label);
        if (line) {
                line += strlen(label);
                line += strspn(line, " ");
                line[strspn(line, "0123456789")] = '\0';
        }
        if (!line || parse_u64(line, UINT64_MAX / 1024, &kib) < 0)
                return err_say(-EBADMSG, "/proc/meminfo has no MemAvailable line");
        *ret_bytes = kib * 1024;
        return 0;
}

/* -EINVAL: this kernel's tmpfs can only be swapped. */
static int open_tmpfs(uint64_t bytes) {
        _cleanup_(closep) int fs = fsopen("tmpfs", FSOPEN_CLOEXEC);
        char size[24];

        snprintf(size, sizeof size, "%" PRIu64, bytes);
        if (fs < 0 || fsconfig(fs, FSCONFIG_SET_FLAG, "noswap", NULL, 0) < 0 ||
            fsconfig(fs, FSCONFIG_SET_STRING, "size", size, 0) < 0)
                return -errno;
        return TAKE_FD(fs);
}

int memory_directory(void) {
        _cleanup_(closep) int fs = -1, mounted = -1;
        uint64_t available;
        int fd, r;

        r = memory_available(&available);
        if (r < 0)
                return err_pass(r);
        fs = open_tmpfs(available);
        if (fs < 0)
                fs = fsopen("ramfs", FSOPEN_CLOEXEC);
        if (fs < 0 || fsconfig(fs, FSCONFIG_SET_STRING, "mode", "0700", 0) < 0 ||
            fsconfig(fs, FSCONFIG_CMD_CREATE, NULL, NULL, 0) < 0)
                return err_born(-errno, "cannot create a tmpfs");
        mounted = fsmount(fs, FSMOUNT_CLOEXEC, MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC);
        if (mounted < 0)
                return err_born(-errno, "cannot mount a tmpfs");
        fd = openat(mounted, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        return fd < 0 ? err_born(-errno, "cannot open the tmpfs") : fd;
}

/* ONFAULT: else the whole stack of each thread would be taken at once. */
int memory_lock(void) {
        if (mlockall(MCL_CURRENT | MCL_FUTURE | MCL_ONFAULT) < 0)
                return err_born(-errno, "cannot lock the memory of this process");
        return 0;
}

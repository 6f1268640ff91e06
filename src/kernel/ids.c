/* SPDX-License-Identifier: GPL-2.0-or-later */

/*
 * Numbers that name this boot and its next processes. The kernel hands out PIDs upwards from ns_last_pid and
 * begins again near the bottom once it reaches pid_max; so lifting ns_last_pid keeps the numbers below free
 * only as long as there is room above, and that is why pid_max is raised with it.
 */

#include "kernel/ids.h"

#include "base/cleanup.h"
#include "base/err.h"
#include "base/fd.h"
#include "base/text.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/utsname.h>

/* Processes that a boot with its logins starts before anybody looks again: 32768 is the classic pid_max. */
#define PID_ROOM 32768u

static int number_read(const char *path, uint64_t *ret) {
        _cleanup_(freep) char *text = NULL;
        int r = file_slurp(AT_FDCWD, path, 64, &text, NULL);

        if (r < 0)
                return err_pass(r);
        text[strcspn(text, "\n")] = '\0';
        r = parse_u64(text, UINT32_MAX, ret);
        if (r < 0)
                return err_born(r, "%s does not contain a number", path);
        return 0;
}

static int number_write(const char *path, uint64_t value) {
        char text[24];

        snprintf(text, sizeof text, "%llu", (unsigned long long)value);
        return err_pass(file_put(path, text));
}

int system_pids_lift(uint32_t pid) {
        static const char *const last_path = "/proc/sys/kernel/ns_last_pid";
        static const char *const max_path = "/proc/sys/kernel/pid_max";
        uint64_t last, max;
        int r;

        if (pid == 0 || pid >= PID_MAX)
                return err_born(-ERANGE, "cannot reserve process numbers up to %u", pid);
        r = number_read(max_path, &max);
        if (r < 0)
                return err_pass(r);
        if (max < PID_MAX && max - (pid < max ? pid : max) < PID_ROOM) {
                r = number_write(max_path, PID_MAX);
                if (r < 0)
                        return err_pass(r);
        }
        r = number_read(last_path, &last);
        if (r < 0)
                return err_pass(r);
        if (last >= pid)
                return 0;
        return err_pass(number_write(last_path, pid));
}

int system_kernel(char release[static 128]) {
        struct utsname u;

        if (uname(&u) < 0)
                return err_born(-errno, "cannot determine the kernel version");
        snprintf(release, 128, "%s", u.release);
        return 0;
}

int system_boot_id(char id[static 37]) {
        _cleanup_(freep) char *text = NULL;
        size_t size;
        int r = file_slurp(AT_FDCWD, "/proc/sys/kernel/random/boot_id", 64, &text, &size);

        if (r < 0)
                return err_pass(r);
        if (size < 36 || strspn(text, "0123456789abcdef-") != 36)
                return err_say(-EBADMSG, "the kernel's boot id is invalid");
        memcpy(id, text, 36);
        id[36] = '\0';
        return 0;
}

/* SPDX-License-Identifier: GPL-2.0-or-later */

/* What was set by hand is 0 in the next kernel. */

#include "kernel/hugepages.h"

#include "base/cleanup.h"
#include "base/err.h"
#include "base/fd.h"
#include "base/text.h"

#include <errno.h>
#include <fcntl.h>
#include <glob.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sysinfo.h>

#define SETTINGS_MAX (64u << 10)
/* Of the memory: other trees and the boot want some, too, and each huge page is one piece. */
#define SHARE     4
#define POOL      "/sys/kernel/mm/hugepages/hugepages-2048kB/"
#define PAGES_MAX (UINT64_MAX / HUGE_PAGE)

static int read_number(const char *path, uint64_t *ret) {
        _cleanup_(freep) char *text = NULL;
        int r = file_slurp(AT_FDCWD, path, 64, &text, NULL);

        if (r == -ENOENT)
                return err_say(r, "this kernel does not support huge pages of 2 MiB: %s does not exist",
                               path);
        if (r < 0)
                return err_pass(r);
        text[strcspn(text, "\n")] = '\0';
        if (parse_u64(text, PAGES_MAX, ret) < 0)
                return err_say(-EBADMSG, "%s is not a number", path);
        return 0;
}

int hugepages_look(HugePool *ret) {
        uint64_t all, surplus, free, promised;
        int r = read_number(POOL "nr_hugepages", &all);

        if (r >= 0)
                r = read_number(POOL "surplus_hugepages", &surplus);
        if (r >= 0)
                r = read_number(POOL "free_hugepages", &free);
        if (r >= 0)
                r = read_number(POOL "resv_hugepages", &promised);
        if (r < 0)
                return err_pass(r);
        *ret = (HugePool){
                        .pages = all > surplus ? all - surplus : 0,
                        .surplus = surplus,
                        .free = free > promised ? free - promised : 0,
        };
        return 0;
}

int hugepages_set(uint64_t pages) {
        char number[24];
        int r;

        snprintf(number, sizeof number, "%" PRIu64, pages);
        r = file_put(POOL "nr_hugepages", number);
        return r < 0 ? err_pass(r) : 0;
}

uint64_t hugepages_share(void) {
        struct sysinfo info;

        return sysinfo(&info) < 0 ? 0 : (uint64_t)info.totalram * info.mem_unit / SHARE / HUGE_PAGE;
}

uint64_t hugepages_setting(const char *text) {
        uint64_t most = 0;

        for (const char *line = text; line; line = strchr(line, '\n')) {
                uint64_t n;

                line += strspn(line, "\n \t-");
                if (!starts_with(line, "vm.nr_hugepages") && !starts_with(line, "vm/nr_hugepages"))
                        continue;
                line += strlen("vm.nr_hugepages");
                line += strspn(line, " \t");
                n = *line == '=' ? strtoull(line + 1, NULL, 10) : 0;
                most = n > most ? n : most;
        }
        return most;
}

static uint64_t set_by_files(const char *pattern) {
        uint64_t most = 0;
        glob_t found = {0};

        if (glob(pattern, 0, NULL, &found) == 0)
                for (size_t i = 0; i < found.gl_pathc; i++) {
                        _cleanup_(freep) char *text = NULL;
                        uint64_t n = file_slurp(AT_FDCWD, found.gl_pathv[i], SETTINGS_MAX, &text, NULL) < 0
                                                     ? 0
                                                     : hugepages_setting(text);

                        most = n > most ? n : most;
                }
        globfree(&found);
        return most;
}

static uint64_t set_by_command_line(void) {
        _cleanup_(freep) char *text = NULL;
        const char *p;

        if (file_slurp(AT_FDCWD, "/proc/cmdline", SETTINGS_MAX, &text, NULL) < 0)
                return 0;
        p = starts_with(text, "hugepages=") ? text : strstr(text, " hugepages=");
        return p ? strtoull(strchr(p, '=') + 1, NULL, 10) : 0;
}

bool hugepages_by_boot(bool large) {
        static const char *const patterns[] = {"/etc/sysctl.d/*.conf", "/usr/lib/sysctl.d/*.conf"};
        _cleanup_(freep) char *text = NULL;
        uint64_t now, boot = set_by_command_line();

        if (large) /* sysctl(8) sets those of the default size only */
                return boot > 0;
        if (file_slurp(AT_FDCWD, "/proc/sys/vm/nr_hugepages", 64, &text, NULL) < 0)
                return false;
        now = strtoull(text, NULL, 10);
        for (size_t i = 0; i < ELEMENTS(patterns); i++) {
                uint64_t n = set_by_files(patterns[i]);

                boot = n > boot ? n : boot;
        }
        return boot > 0 && boot >= now;
}

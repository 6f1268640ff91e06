/* SPDX-License-Identifier: GPL-2.0-or-later */

/* What was set by hand is 0 in the next kernel. */

#include "kernel/memory.h"

#include "base/cleanup.h"
#include "base/fd.h"
#include "base/text.h"

#include <fcntl.h>
#include <glob.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SETTINGS_MAX (64u << 10)

uint64_t huge_setting(const char *text) {
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
                                                     : huge_setting(text);

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

bool huge_by_boot(bool large) {
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

static uint64_t kib_of(const char *meminfo, const char *label) {
        const char *found = strstr(meminfo, label);
        uint64_t kib = found ? strtoull(found + strlen(label), NULL, 10) : 0;

        return kib > UINT64_MAX / 1024 ? UINT64_MAX : kib * 1024;
}

uint64_t memory_promisable(const char *meminfo) {
        uint64_t limit = kib_of(meminfo, "\nCommitLimit:"), promised = kib_of(meminfo, "\nCommitted_AS:");

        return limit > promised ? limit - promised : 0;
}

bool memory_is_strict(uint64_t *ret_promisable) {
        _cleanup_(freep) char *setting = NULL, *meminfo = NULL;

        if (file_slurp(AT_FDCWD, "/proc/sys/vm/overcommit_memory", 64, &setting, NULL) < 0 ||
            setting[0] != '2')
                return false;
        *ret_promisable = file_slurp(AT_FDCWD, "/proc/meminfo", SETTINGS_MAX, &meminfo, NULL) < 0
                                          ? 0
                                          : memory_promisable(meminfo);
        return true;
}

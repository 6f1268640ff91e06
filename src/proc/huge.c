/* SPDX-License-Identifier: GPL-2.0-or-later */

/* Whether each boot makes as many huge pages as there are now. What was set by hand is 0 in the next
 * kernel. */

#include "proc/huge.h"

#include "base/cleanup.h"
#include "base/fd.h"
#include "base/text.h"

#include <fcntl.h>
#include <glob.h>
#include <stdio.h>
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

void procfs_huge(Snapshot *s) {
        static const char *const patterns[] = {"/etc/sysctl.d/*.conf", "/usr/lib/sysctl.d/*.conf"};
        _cleanup_(freep) char *text = NULL;
        uint64_t now = 0, boot = 0;
        bool any = false;

        for (size_t i = 0; i < s->n_processes; i++)
                any = any || s->processes[i].huge;
        if (!any || file_slurp(AT_FDCWD, "/proc/sys/vm/nr_hugepages", 64, &text, NULL) < 0)
                return;
        now = strtoull(text, NULL, 10);
        boot = set_by_command_line();
        for (size_t i = 0; i < ELEMENTS(patterns); i++) {
                uint64_t n = set_by_files(patterns[i]);

                boot = n > boot ? n : boot;
        }
        s->huge_by_boot = boot > 0 && boot >= now;
}

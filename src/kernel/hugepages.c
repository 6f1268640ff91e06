/* SPDX-License-Identifier: GPL-2.0-or-later */

/* The limit is a number that is read and written back, so threads take turns. What was set by hand is 0 in
 * the next kernel. */

#include "kernel/hugepages.h"

#include "base/cleanup.h"
#include "base/err.h"
#include "base/fd.h"
#include "base/text.h"

#include <errno.h>
#include <fcntl.h>
#include <glob.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SETTINGS_MAX (64u << 10)

static int default_size(uint64_t *ret) {
        _cleanup_(freep) char *text = NULL;
        const char *found;
        int r = file_slurp(AT_FDCWD, "/proc/meminfo", 65536, &text, NULL);

        if (r < 0)
                return err_pass(r);
        found = strstr(text, "Hugepagesize:");
        if (!found || sscanf(found, "Hugepagesize: %" SCNu64 " kB", ret) != 1 || *ret == 0 ||
            *ret > UINT64_MAX / 1024)
                return err_say(-ENOENT, "this kernel does not support huge pages");
        *ret *= 1024;
        return 0;
}

typedef struct Pool {
        uint64_t size, own, wanted; /* own: the limit that the machine had */
} Pool;

static int read_number(const char *directory, const char *name, uint64_t *ret) {
        _cleanup_(freep) char *text = NULL;
        char path[128];
        int r;

        snprintf(path, sizeof path, "%s/%s", directory, name);
        r = file_slurp(AT_FDCWD, path, 64, &text, NULL);
        if (r == -ENOENT)
                return err_say(r, "this kernel does not support huge pages of this size: %s does not exist",
                               path);
        if (r < 0)
                return err_pass(r);
        text[strcspn(text, "\n")] = '\0';
        if (parse_u64(text, UINT64_MAX / 4, ret) < 0)
                return err_say(-EBADMSG, "%s is not a number", path);
        return 0;
}

/* Those that others have by now count, too: the limit is one of all pages beyond the pool. Never below
 * none. */
static int change(const char *directory, uint64_t size, Pool *pool, int64_t pages) {
        uint64_t by = pages < 0 ? (uint64_t)-pages : (uint64_t)pages, surplus, own = pool->own, wanted;
        char path[128], number[32];
        int r = read_number(directory, "surplus_hugepages", &surplus);

        if (r >= 0 && pool->wanted == 0)
                r = read_number(directory, "nr_overcommit_hugepages", &own);
        if (r < 0)
                return err_pass(r);
        if (pages < 0)
                wanted = pool->wanted > by ? pool->wanted - by : 0;
        else
                wanted = by > UINT64_MAX / 4 - pool->wanted ? UINT64_MAX / 4 : pool->wanted + by;
        snprintf(path, sizeof path, "%s/nr_overcommit_hugepages", directory);
        snprintf(number, sizeof number, "%" PRIu64, wanted ? own + surplus + wanted : own);
        r = file_put(path, number);
        if (r < 0)
                return err_pass(r);
        *pool = (Pool){size, own, wanted};
        return 0;
}

static Pool *pool_of(uint64_t size) {
        static Pool pools[8]; /* architectures have one to five sizes */

        for (size_t i = 0; i < ELEMENTS(pools); i++)
                if (pools[i].size == size || pools[i].size == 0)
                        return pools + i;
        return NULL;
}

int hugepages_allow(uint64_t size, int64_t bytes) {
        static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
        char directory[96];
        Pool *pool;
        int r = 0;

        if (size == 0)
                r = default_size(&size);
        if (r < 0)
                return err_pass(r);
        if (size < 1024 || bytes % (int64_t)size != 0)
                return err_say(-EINVAL, "%" PRId64 " bytes are not a multiple of the huge page size", bytes);
        snprintf(directory, sizeof directory, "/sys/kernel/mm/hugepages/hugepages-%" PRIu64 "kB",
                 size / 1024);
        pthread_mutex_lock(&lock);
        pool = pool_of(size);
        r = pool ? change(directory, size, pool, bytes / (int64_t)size)
                 : err_say(-ENOENT, "this kernel does not support so many sizes of huge pages");
        pthread_mutex_unlock(&lock);
        return r < 0 ? err_pass(r) : 0;
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

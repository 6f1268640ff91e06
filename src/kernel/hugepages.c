/* SPDX-License-Identifier: GPL-2.0-or-later */

/* The limit is a number that is read and written back, so threads take turns. */

#include "kernel/hugepages.h"

#include "base/cleanup.h"
#include "base/err.h"
#include "base/fd.h"
#include "base/text.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

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

/* Never below none. */
static int change(const char *path, int64_t pages) {
        _cleanup_(freep) char *text = NULL;
        char number[32];
        uint64_t now, change = pages < 0 ? (uint64_t)-pages : (uint64_t)pages;
        int r = file_slurp(AT_FDCWD, path, 64, &text, NULL);

        if (r == -ENOENT)
                return err_say(r, "this kernel does not support huge pages of this size: %s does not exist",
                               path);
        if (r < 0)
                return err_pass(r);
        text[strcspn(text, "\n")] = '\0';
        if (parse_u64(text, UINT64_MAX / 2, &now) < 0)
                return err_say(-EBADMSG, "%s is not a number", path);
        if (pages < 0)
                now = now > change ? now - change : 0;
        else
                now += change;
        snprintf(number, sizeof number, "%" PRIu64, now);
        r = file_put(path, number);
        return r < 0 ? err_pass(r) : 0;
}

int hugepages_allow(uint64_t size, int64_t bytes) {
        static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
        char path[96];
        int r = 0;

        if (size == 0)
                r = default_size(&size);
        if (r < 0)
                return err_pass(r);
        if (size < 1024 || bytes % (int64_t)size != 0)
                return err_say(-EINVAL, "%" PRId64 " bytes are not a multiple of the huge page size", bytes);
        snprintf(path, sizeof path,
                 "/sys/kernel/mm/hugepages/hugepages-%" PRIu64 "kB/nr_overcommit_hugepages", size / 1024);
        pthread_mutex_lock(&lock);
        r = change(path, bytes / (int64_t)size);
        pthread_mutex_unlock(&lock);
        return r < 0 ? err_pass(r) : 0;
}

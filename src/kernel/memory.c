/* SPDX-License-Identifier: GPL-2.0-or-later */

#include "kernel/memory.h"

#include "base/cleanup.h"
#include "base/fd.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

#define TEXT_MAX (64u << 10)

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
        *ret_promisable = file_slurp(AT_FDCWD, "/proc/meminfo", TEXT_MAX, &meminfo, NULL) < 0
                                          ? 0
                                          : memory_promisable(meminfo);
        return true;
}

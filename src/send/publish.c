/* SPDX-License-Identifier: GPL-2.0-or-later */

#include "send/publish.h"

#include "base/cleanup.h"
#include "base/err.h"
#include "base/fd.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>

int publish(const char *directory, const char *name, const char *text) {
        _cleanup_(closep) int dir = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        int r;

        if (dir < 0 && errno == ENOENT)
                return err_say(-ENOENT, "directory %s does not exist: create it, or set MetricsDirectory=",
                               directory);
        if (dir < 0)
                return err_born(-errno, "cannot open %s", directory);
        r = file_publish(dir, name, text, strlen(text));
        return r < 0 ? err_prefix(r, "%s: ", directory) : 0;
}

/* SPDX-License-Identifier: GPL-2.0-or-later */

/* The store for whoever only looks, who makes none. */

#include "base/err.h"
#include "store/store.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

/* Where it would be made: what is there of its path. */
static int nearest_directory(const Config *config) {
        char path[sizeof config->store];
        size_t n;

        snprintf(path, sizeof path, "%s", config->store);
        n = strlen(path);
        for (;;) {
                int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

                if (fd >= 0)
                        return fd;
                if (errno != ENOENT || n <= 1)
                        return err_born(-errno, "cannot open %s", path);
                while (--n > 1 && path[n] != '/')
                        ;
                path[n] = '\0';
        }
}

int store_look(const Config *config, Store *ret) {
        Store s = {.absent = true};
        struct stat st;

        if (lstat(config->store, &st) >= 0 || errno != ENOENT)
                return err_pass(store_open(config, ret));
        s.fd = nearest_directory(config);
        if (s.fd < 0)
                return err_prefix(s.fd, "the store, see Store= in carryover.conf(5): ");
        snprintf(s.path, sizeof s.path, "%s", config->store);
        *ret = s;
        return 1;
}

/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/* Where whole programs run: /run, /etc and /var/lib of the test's own, a store in a tmpfs, a fake
 * machine. */

#include "base/fd.h"
#include "files/config.h"
#include "store/store.h"
#include "tests/fakes/fake.h"
#include "tests/unit/own-run.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define MACHINE_STORE "/var/lib/carryover"

/* What main() is to end with, or 0: go on. */
static inline int own_machine(void) {
        int r = own_run();

        if (r == 0 && (mount("tmpfs", "/etc", "tmpfs", 0, "mode=0755") < 0 ||
                       mount("tmpfs", "/var/lib", "tmpfs", 0, "mode=0755") < 0)) {
                perror("cannot make an /etc and a /var/lib of the test's own");
                return 1;
        }
        return r;
}

/* Lines of [Carryover] in carryover.conf; "": the defaults. */
static inline void configure(const char *lines) {
        int dir = open_dirs("/etc/carryover", 0755);
        char text[1024];

        assert_true(dir >= 0);
        snprintf(text, sizeof text, "[Carryover]\n%s", lines);
        assert_int_equal(file_replace(dir, "carryover.conf", text, strlen(text)), 0);
        (void)fd_close(dir);
}

/* A machine with nothing in it: no store, no /run/carryover, no tree. For a test's set up. */
static inline int fresh_machine(void **state) {
        int run = open("/run", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        int lib = open("/var/lib", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

        (void)state;
        while (umount2(MACHINE_STORE, MNT_DETACH) == 0)
                ;
        assert_int_equal(file_remove_tree(run, "carryover"), 0);
        assert_int_equal(file_remove_tree(lib, "carryover"), 0);
        (void)fd_close(run);
        (void)fd_close(lib);
        fake_begin();
        configure("");
        return 0;
}

static inline Store machine_store(void) {
        Config config;
        Store store;

        assert_int_equal(config_load("", &config), 0);
        assert_int_equal(store_open(&config, &store), 0);
        return store;
}

/* SPDX-License-Identifier: GPL-2.0-or-later */

/* The configuration: parts separated by "\n==\n", each a letter for the file and its text. */

#include "fuzz.h"

#include "base/clock.h"
#include "base/text.h"
#include "files/config.h"

#include <string.h>

static const char *const files[] = {
                "/etc/carryover/carryover.conf",          "/usr/lib/carryover/carryover.conf",
                "/etc/carryover/carryover.conf.d/a.conf", "/run/carryover/carryover.conf.d/a.conf",
                "/run/carryover/carryover.conf.d/b.conf", "/usr/lib/carryover/carryover.conf.d/c.conf",
};

static bool is_wait(uint64_t usec) {
        return usec > 0 && usec <= 24 * 3600 * USEC_PER_SEC;
}

static bool is_place(const char *path, size_t size) {
        return memchr(path, '\0', size) && path[0] == '/' && path[1] && !strstr(path, "//") &&
               !strstr(path, "/../") && !ends_with(path, "/..");
}

static void expect_possible(const Config *c) {
        EXPECT(is_place(c->store, sizeof c->store));
        EXPECT(memchr(c->criu, '\0', sizeof c->criu));
        EXPECT(c->criu[0] == '/' ? is_place(c->criu, sizeof c->criu) : name_is_safe(c->criu));
        EXPECT(is_wait(c->settle_usec) && is_wait(c->criu_usec) && is_wait(c->network_usec));
        EXPECT(c->pid_mode <= PID_MODE_NAMESPACE && c->hold <= HOLD_NFTABLES);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
        Part rest = {data, size}, part;
        Config config = {.store = "untouched"};

        cell_enter(false);
        while (part_next(&rest, "\n==\n", &part)) {
                uint8_t which = part_byte(&part);

                cell_put_part(files[which % (sizeof files / sizeof files[0])], part);
        }
        if (config_load("", &config) >= 0)
                expect_possible(&config);
        else
                EXPECT(strcmp(config.store, "untouched") == 0);
        cell_leave();
        return 0;
}

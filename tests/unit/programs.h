/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/* Whole programs, for fake_run(). */

#include "early/early.h"
#include "files/config.h"
#include "flow/flow.h"
#include "tests/fakes/machine.h"

static inline int run_save(void *userdata) {
        (void)userdata;
        return flow_save();
}

static inline void say_nothing(int priority, const char *sentence) {
        (void)priority;
        (void)sentence;
}

/* carryover-early.service, then carryover-restore.service. */
static inline int run_next_boot(void *userdata) {
        Config config;

        (void)userdata;
        assert_int_equal(config_load("", &config), 0);
        (void)early_service(&config, say_nothing);
        return flow_restore();
}

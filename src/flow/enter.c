/* SPDX-License-Identifier: GPL-2.0-or-later */

/* `carryover enter`: which way it means, and what the last report knows of the tree. */

#include "enter/enter.h"

#include "base/cleanup.h"
#include "base/err.h"
#include "files/config.h"
#include "flow/flow.h"
#include "kernel/ids.h"
#include "proc/ns.h"
#include "store/store.h"

static int find(const char *name, pid_t *ret) {
        _cleanup_(store_close) Store store = {.fd = -1};
        _cleanup_(ticket_freep) Ticket *report = NULL;
        char boot[37];
        Config config;
        int r;

        r = config_load("", &config);
        if (r >= 0)
                r = store_open(&config, &store);
        if (r >= 0)
                r = store_report(&store, &report);
        if (r >= 0)
                r = system_boot_id(boot);
        return r < 0 ? err_pass(r) : enter_find(report, boot, name, ret);
}

static int enter(const char *name, const char *const *command, int *ret) {
        int r = ns_is_host();
        pid_t init;

        if (r < 0)
                return err_pass(r);
        if (r > 0 && !name)
                return err_say(-EINVAL, "already on the host: use carryover enter NAME to enter a tree that "
                                        "runs in a PID namespace");
        if (r == 0 && name)
                return err_say(-EINVAL, "inside a namespace, use carryover enter without a name");
        if (!name)
                return enter_host(ret);
        r = find(name, &init);
        return r < 0 ? err_pass(r) : enter_tree(init, command, ret);
}

ExitStatus flow_enter(const char *name, const char *const *command) {
        int status, r = enter(name, command, &status);

        return r < 0 ? flow_fail(r) : (ExitStatus)status;
}

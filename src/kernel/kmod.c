/* SPDX-License-Identifier: GPL-2.0-or-later */

/* Modules are wanted, never required: what a kernel has built in, or does not have at all, shows later in
 * the feature probe that needs it. */

#include "kernel/kmod.h"

#include "base/cleanup.h"
#include "base/log.h"

#include <errno.h>
#include <libkmod.h>
#include <stdarg.h>
#include <string.h>

static void silent(void *data, int priority, const char *file, int line, const char *fn, const char *format,
                   va_list args) {
}

static bool load_one(struct kmod_ctx *ctx, const char *name) {
        struct kmod_list *found = NULL, *item;
        bool ok = true;

        if (kmod_module_new_from_lookup(ctx, name, &found) < 0)
                return true;
        kmod_list_foreach(item, found) {
                struct kmod_module *module = kmod_module_get_module(item);
                int r = kmod_module_probe_insert_module(module, 0, NULL, NULL, NULL, NULL);

                if (r < 0 && r != -EEXIST) {
                        log_debug("cannot load module %s: %s", name, strerror(-r));
                        ok = false;
                }
                kmod_module_unref(module);
        }
        kmod_module_unref_list(found);
        return ok;
}

int kmod_load(const char *const *names) {
        struct kmod_ctx *ctx = kmod_new(NULL, NULL);
        int failed = 0;

        if (!ctx)
                return 1;
        kmod_set_log_fn(ctx, silent, NULL);
        kmod_load_resources(ctx);
        for (; *names; names++)
                failed += !load_one(ctx, *names);
        kmod_unref(ctx);
        return failed;
}

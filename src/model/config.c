/* SPDX-License-Identifier: GPL-2.0-or-later */

#include "model/config.h"

#include "base/cleanup.h"

#include <errno.h>
#include <stddef.h>
#include <string.h>

static const char *const backend_names[] = {
                [HOLD_AUTO] = "auto",
                [HOLD_IPTABLES] = "iptables",
                [HOLD_NFTABLES] = "nftables",
};

const char *hold_backend_text(HoldBackend backend) {
        return (size_t)backend < ELEMENTS(backend_names) ? backend_names[backend] : "?";
}

int hold_backend_parse(const char *text, HoldBackend *ret) {
        for (size_t i = 0; i < ELEMENTS(backend_names); i++)
                if (strcmp(text, backend_names[i]) == 0) {
                        *ret = (HoldBackend)i;
                        return 0;
                }
        return -EINVAL;
}

HoldBackend hold_backend_of(const char *text) {
        HoldBackend backend;

        return hold_backend_parse(text, &backend) < 0 ? HOLD_AUTO : backend;
}

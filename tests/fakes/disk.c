/* SPDX-License-Identifier: GPL-2.0-or-later */

/* What of the store and of base/ asks for a disk or the kernel's keyring. */

#include "base/fd.h"
#include "store/key.h"
#include "store/room.h"
#include "tests/fakes/fake.h"

#include <string.h>

/* A tmpfs will do. */
int store_lasts(const Store *store) {
        (void)store;
        return fake_call("store_lasts", "%s", "");
}

int sync_machine(uint64_t deadline_monotonic) {
        (void)deadline_monotonic;
        return fake_call("sync_machine", "%s", "");
}

int store_key_find(uint8_t ret[static BOX_KEY]) {
        int r = fake_call("store_key_find", "%s", "");

        if (r < 0 || !fake->has_key)
                return r < 0 ? r : 1;
        memcpy(ret, fake->key, BOX_KEY);
        return 0;
}

int store_key_put(const uint8_t key[static BOX_KEY]) {
        int r = fake_call("store_key_put", "%s", "");

        if (r < 0)
                return r;
        memcpy(fake->key, key, BOX_KEY);
        fake->has_key = true;
        return 0;
}

int store_key_draw(uint8_t ret[static BOX_KEY]) {
        int r = fake_call("store_key_draw", "%s", "");

        if (r < 0)
                return r;
        if (!fake->has_key)
                memset(fake->key, (int)fake->boot, BOX_KEY);
        fake->has_key = true;
        memcpy(ret, fake->key, BOX_KEY);
        return 0;
}

int store_key_forget(void) {
        fake->has_key = false;
        return fake_call("store_key_forget", "%s", "");
}

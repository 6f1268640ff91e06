/* SPDX-License-Identifier: GPL-2.0-or-later */

/* By plain system calls: five of them do not need a library, which would go into every initramfs. */

#include "store/key.h"

#include "base/err.h"

#include <linux/keyctl.h>
#include <string.h>
#include <sys/random.h>
#include <sys/syscall.h>
#include <unistd.h>

#define NAME "carryover:images"

/* Of the kernel's own linux/key.h. A service has a session keyring that does not lead to the user's, so it
 * does not possess what is there, and reads it as the owner. */
#define POSSESSOR_ALL 0x3f000000ul
#define OWNER_VIEW    0x00010000ul
#define OWNER_READ    0x00020000ul
#define OWNER_SEARCH  0x00080000ul

static long key_control(int what, unsigned long a, unsigned long b, unsigned long c, unsigned long d) {
        return syscall(SYS_keyctl, what, a, b, c, d);
}

static const unsigned long roots = (unsigned long)KEY_SPEC_USER_KEYRING;

/* Answer 1: there is none. */
static int find(unsigned long *ret) {
        long id = key_control(KEYCTL_SEARCH, roots, (unsigned long)"user", (unsigned long)NAME, 0);

        if (id < 0 && (errno == ENOKEY || errno == EKEYREVOKED || errno == EKEYEXPIRED))
                return 1;
        if (id < 0)
                return err_born(-errno, "cannot search the kernel keyring for the image key");
        *ret = (unsigned long)id;
        return 0;
}

int store_key_find(uint8_t ret[static BOX_KEY]) {
        unsigned long id;
        long n;
        int r = find(&id);

        if (r != 0)
                return r < 0 ? err_pass(r) : r;
        n = key_control(KEYCTL_READ, id, (unsigned long)ret, BOX_KEY, 0);
        if (n < 0)
                return err_born(-errno, "cannot read the image key from the kernel keyring");
        return n == BOX_KEY ? 0 : err_say(-EBADMSG, "the image key has an invalid length");
}

int store_key_put(const uint8_t key[static BOX_KEY]) {
        const unsigned long own = (unsigned long)KEY_SPEC_PROCESS_KEYRING;
        long id = syscall(SYS_add_key, "user", NAME, key, (size_t)BOX_KEY, KEY_SPEC_PROCESS_KEYRING);
        int r = 0;

        if (id < 0)
                return err_born(-errno, "cannot add the image key to the kernel keyring");
        if (key_control(KEYCTL_SETPERM, (unsigned long)id,
                        POSSESSOR_ALL | OWNER_VIEW | OWNER_READ | OWNER_SEARCH, 0, 0) < 0 ||
            key_control(KEYCTL_LINK, (unsigned long)id, roots, 0, 0) < 0)
                r = err_born(-errno, "cannot link the image key into the kernel keyring");
        (void)key_control(KEYCTL_UNLINK, (unsigned long)id, own, 0, 0);
        return r;
}

int store_key_draw(uint8_t ret[static BOX_KEY]) {
        int r = store_key_find(ret);

        if (r <= 0)
                return r < 0 ? err_pass(r) : 0;
        if (getrandom(ret, BOX_KEY, 0) != BOX_KEY)
                return err_born(-errno, "cannot generate an image key");
        return store_key_put(ret);
}

int store_key_mark(const uint8_t key[static BOX_KEY], uint8_t ret[static DIGEST_SIZE]) {
        return digest_pair(key, NAME, strlen(NAME), "mark", 4, ret);
}

int store_key_forget(void) {
        unsigned long id;
        int r = find(&id);

        if (r != 0)
                return r < 0 ? err_pass(r) : 0;
        if (key_control(KEYCTL_UNLINK, id, roots, 0, 0) < 0)
                return err_born(-errno, "cannot remove the image key from the kernel keyring");
        return 0;
}

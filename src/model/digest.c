/* SPDX-License-Identifier: GPL-2.0-or-later */

#include "model/digest.h"

#include "base/cleanup.h"
#include "base/err.h"

#include <gcrypt.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

#define SALT 16u
#define TAG  16u

_Static_assert(SALT + TAG == DIGEST_SIZE, "both are one checksum");

/* libgcrypt warns on stderr, into everybody's output, unless its user says that the set-up is finished. Its
 * vector code for BLAKE2b gains little on metal, but under an emulator it takes ten times as long as the
 * plain one; it can only be switched off before anything else. */
static void gcrypt_ready(void) {
        gcry_control(GCRYCTL_DISABLE_HWF, "intel-avx2", NULL);
        gcry_control(GCRYCTL_DISABLE_HWF, "intel-avx512", NULL);
        gcry_check_version(NULL);
        gcry_control(GCRYCTL_DISABLE_SECMEM, 0);
        gcry_control(GCRYCTL_INITIALIZATION_FINISHED, 0);
}

void digest_ready(void) {
        static pthread_once_t once = PTHREAD_ONCE_INIT;

        pthread_once(&once, gcrypt_ready);
}

void digest_bytes(const void *data, size_t size, uint8_t ret[static DIGEST_SIZE]) {
        digest_ready();
        gcry_md_hash_buffer(GCRY_MD_BLAKE2B_256, ret, data, size);
}

int digest_pair(const uint8_t key[static DIGEST_KEY], const void *a, size_t a_size, const void *b,
                size_t b_size, uint8_t ret[static DIGEST_SIZE]) {
        gcry_md_hd_t md;

        digest_ready();
        if (gcry_md_open(&md, GCRY_MD_BLAKE2B_256, 0) != 0)
                return -ENOMEM;
        if (gcry_md_setkey(md, key, DIGEST_KEY) != 0) {
                gcry_md_close(md);
                return err_say(-EOPNOTSUPP, "libgcrypt rejected the checksum key");
        }
        gcry_md_write(md, a, a_size);
        gcry_md_write(md, b, b_size);
        memcpy(ret, gcry_md_read(md, GCRY_MD_BLAKE2B_256), DIGEST_SIZE);
        gcry_md_close(md);
        return 0;
}

/* Of images. */

static void mac_closep(gcry_mac_hd_t *mac) {
        if (*mac)
                gcry_mac_close(*mac);
}

static int mac_open(const uint8_t *key, const uint8_t *salt, gcry_mac_hd_t *ret) {
        static const char use[] = "image";
        _cleanup_(mac_closep) gcry_mac_hd_t mac = NULL;
        uint8_t own[DIGEST_SIZE];
        int r = digest_pair(key, use, strlen(use), salt, SALT, own);

        if (r >= 0 && gcry_mac_open(&mac, GCRY_MAC_POLY1305, 0, NULL) != 0)
                r = -ENOMEM;
        if (r >= 0 && gcry_mac_setkey(mac, own, sizeof own) != 0)
                r = err_say(-EOPNOTSUPP, "libgcrypt rejected the checksum key");
        explicit_bzero(own, sizeof own);
        if (r < 0)
                return err_pass(r);
        *ret = TAKE(mac);
        return 0;
}

static int mac_fd(int fd, gcry_mac_hd_t mac, uint64_t *ret_size) {
        enum { CHUNK = 1 << 18 };
        _cleanup_(freep) char *buffer = malloc(CHUNK);
        uint64_t size = 0;
        ssize_t n;

        if (!buffer)
                return -ENOMEM;
        while ((n = read(fd, buffer, CHUNK)) != 0) {
                if (n < 0 && errno == EINTR)
                        continue;
                if (n < 0)
                        return err_born(-errno, "cannot read data for the checksum");
                gcry_mac_write(mac, buffer, (size_t)n);
                size += (uint64_t)n;
        }
        *ret_size = size;
        return 0;
}

int digest_image(int fd, const uint8_t key[static DIGEST_KEY], uint8_t ret[static DIGEST_SIZE],
                 uint64_t *ret_size) {
        _cleanup_(mac_closep) gcry_mac_hd_t mac = NULL;
        uint8_t digest[DIGEST_SIZE];
        size_t n = TAG;
        int r;

        if (getrandom(digest, SALT, 0) != SALT)
                return err_born(-errno, "cannot generate the salt of a checksum");
        r = mac_open(key, digest, &mac);
        if (r >= 0)
                r = mac_fd(fd, mac, ret_size);
        if (r < 0)
                return err_pass(r);
        if (gcry_mac_read(mac, digest + SALT, &n) != 0 || n != TAG)
                return err_say(-EOPNOTSUPP, "libgcrypt made no checksum");
        memcpy(ret, digest, sizeof digest);
        return 0;
}

int digest_image_is(int fd, const uint8_t key[static DIGEST_KEY], const uint8_t digest[static DIGEST_SIZE],
                    uint64_t *ret_size) {
        _cleanup_(mac_closep) gcry_mac_hd_t mac = NULL;
        int r = mac_open(key, digest, &mac);

        if (r >= 0)
                r = mac_fd(fd, mac, ret_size);
        return r < 0 ? err_pass(r) : gcry_mac_verify(mac, digest + SALT, TAG) == 0;
}

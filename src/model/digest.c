/* SPDX-License-Identifier: GPL-2.0-or-later */

#include "model/digest.h"

#include "base/cleanup.h"
#include "base/err.h"

#include <gcrypt.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* libgcrypt warns on stderr, into everybody's output, unless its user says that the set-up is finished. Its
 * vector code for BLAKE2b gains little on metal, but under an emulator it takes ten times as long as the
 * plain one, and sessions stand still while their images are hashed; it can only be switched off before
 * anything else. */
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

static int begin(const uint8_t *key, gcry_md_hd_t *ret) {
        gcry_md_hd_t md;

        digest_ready();
        if (gcry_md_open(&md, GCRY_MD_BLAKE2B_256, 0) != 0)
                return -ENOMEM;
        if (key && gcry_md_setkey(md, key, DIGEST_KEY) != 0) {
                gcry_md_close(md);
                return err_say(-EOPNOTSUPP, "libgcrypt rejected the checksum key");
        }
        *ret = md;
        return 0;
}

static void end(gcry_md_hd_t md, uint8_t ret[static DIGEST_SIZE]) {
        memcpy(ret, gcry_md_read(md, GCRY_MD_BLAKE2B_256), DIGEST_SIZE);
        gcry_md_close(md);
}

int digest_pair(const uint8_t key[static DIGEST_KEY], const void *a, size_t a_size, const void *b,
                size_t b_size, uint8_t ret[static DIGEST_SIZE]) {
        gcry_md_hd_t md;
        int r = begin(key, &md);

        if (r < 0)
                return err_pass(r);
        gcry_md_write(md, a, a_size);
        gcry_md_write(md, b, b_size);
        end(md, ret);
        return 0;
}

int digest_fd(int fd, const uint8_t *key, uint8_t ret[static DIGEST_SIZE], uint64_t *ret_size) {
        enum { CHUNK = 1 << 18 };
        _cleanup_(freep) char *buffer = malloc(CHUNK);
        gcry_md_hd_t md;
        uint64_t size = 0;
        ssize_t n;
        int r = buffer ? begin(key, &md) : -ENOMEM;

        if (r < 0)
                return err_pass(r);
        while ((n = read(fd, buffer, CHUNK)) != 0) {
                if (n < 0 && errno == EINTR)
                        continue;
                if (n < 0) {
                        r = -errno;
                        gcry_md_close(md);
                        return err_born(r, "cannot read data for the checksum");
                }
                gcry_md_write(md, buffer, (size_t)n);
                size += (uint64_t)n;
        }
        end(md, ret);
        if (ret_size)
                *ret_size = size;
        return 0;
}

/* SPDX-License-Identifier: GPL-2.0-or-later */

/* AES, because each processor that carryover runs on has it in hardware, where it takes a quarter of the
 * time of the checksum; libgcrypt has code of constant time for one that lacks it. Whether a chunk is the
 * last one is known only when nothing comes behind it, so both directions read one chunk ahead. */

#include "model/box.h"

#include "base/cleanup.h"
#include "base/err.h"
#include "base/fd.h"
#include "model/digest.h"

#include <endian.h>
#include <gcrypt.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

#define CHUNK 65536u
#define TAG   16u
#define NONCE 12u

static const char magic[8] = {'C', 'R', 'R', 'Y', 'B', 'O', 'X', '1'};

typedef struct Head {
        char magic[8];
        uint8_t salt[32];
} Head;

/* Chunks as they are read, one ahead. */
typedef struct Chunks {
        int fd;
        size_t room;
        uint8_t bytes[2][CHUNK + TAG];
        size_t n[2];
        uint64_t number; /* of the one at number % 2 */
} Chunks;

static Chunks *chunks_new(int fd, size_t room) {
        Chunks *c = calloc(1, sizeof *c);

        if (!c)
                return NULL;
        c->fd = fd;
        c->room = room;
        return c;
}

/* They are a tree's memory. */
static void chunks_freep(Chunks **c) {
        if (!*c)
                return;
        explicit_bzero(*c, sizeof **c);
        free(*c);
}

static int fill(Chunks *c, uint64_t number) {
        size_t n = 0;

        while (n < c->room) {
                ssize_t k = read(c->fd, c->bytes[number % 2] + n, c->room - n);

                if (k < 0 && errno == EINTR)
                        continue;
                if (k < 0)
                        return err_born(-errno, "cannot read an image");
                if (k == 0)
                        break;
                n += (size_t)k;
        }
        c->n[number % 2] = n;
        return 0;
}

/* Of one box. Answer through *ret_last: no chunk follows. */
static int look_ahead(Chunks *c, bool *ret_last) {
        int r = fill(c, c->number + 1);

        *ret_last = r >= 0 && c->n[(c->number + 1) % 2] == 0;
        return r;
}

static int cipher_open(const uint8_t *key, const char *name, const Head *head, gcry_cipher_hd_t *ret) {
        uint8_t own[DIGEST_SIZE];
        gcry_cipher_hd_t cipher;
        gcry_error_t e;
        int r;

        r = digest_pair(key, head, sizeof *head, name, strlen(name), own);
        if (r < 0)
                return err_pass(r);
        if (gcry_cipher_open(&cipher, GCRY_CIPHER_AES256, GCRY_CIPHER_MODE_GCM, 0) != 0)
                return err_say(-EOPNOTSUPP, "libgcrypt cannot encrypt");
        e = gcry_cipher_setkey(cipher, own, sizeof own);
        explicit_bzero(own, sizeof own);
        if (e != 0) {
                gcry_cipher_close(cipher);
                return err_say(-EOPNOTSUPP, "libgcrypt rejected the key");
        }
        *ret = cipher;
        return 0;
}

static bool chunk_begin(gcry_cipher_hd_t cipher, uint64_t number, bool last) {
        uint8_t nonce[NONCE] = {[NONCE - 1] = last};
        uint64_t n = htobe64(number);

        memcpy(nonce + 3, &n, sizeof n);
        return gcry_cipher_setiv(cipher, nonce, sizeof nonce) == 0 && gcry_cipher_final(cipher) == 0;
}

static int seal_chunks(gcry_cipher_hd_t cipher, Chunks *c, int to) {
        bool last = false;
        int r = fill(c, 0);

        for (; r >= 0 && !last; c->number++) {
                uint8_t *bytes = c->bytes[c->number % 2];
                size_t n = c->n[c->number % 2];

                r = look_ahead(c, &last);
                if (r < 0)
                        break;
                if (!chunk_begin(cipher, c->number, last) ||
                    gcry_cipher_encrypt(cipher, bytes, n, NULL, 0) != 0 ||
                    gcry_cipher_gettag(cipher, bytes + n, TAG) != 0)
                        return err_say(-EIO, "libgcrypt cannot encrypt");
                r = fd_write_all(to, bytes, n + TAG);
        }
        return r < 0 ? err_pass(r) : 0;
}

static int open_chunks(gcry_cipher_hd_t cipher, Chunks *c, int to) {
        bool last = false;
        int r = fill(c, 0);

        for (; r >= 0 && !last; c->number++) {
                uint8_t *bytes = c->bytes[c->number % 2];
                size_t n = c->n[c->number % 2];

                r = n < TAG ? -EBADMSG : look_ahead(c, &last);
                if (r < 0)
                        break;
                if (!chunk_begin(cipher, c->number, last) ||
                    gcry_cipher_decrypt(cipher, bytes, n - TAG, NULL, 0) != 0 ||
                    gcry_cipher_checktag(cipher, bytes + n - TAG, TAG) != 0)
                        return -EBADMSG;
                r = fd_write_all(to, bytes, n - TAG);
        }
        return r;
}

int box_seal(const uint8_t key[static BOX_KEY], const char *name, int from, int to) {
        _cleanup_(chunks_freep) Chunks *chunks = chunks_new(from, CHUNK);
        gcry_cipher_hd_t cipher;
        Head head;
        int r;

        if (!chunks)
                return -ENOMEM;
        memcpy(head.magic, magic, sizeof magic);
        if (getrandom(head.salt, sizeof head.salt, 0) != sizeof head.salt)
                return err_born(-errno, "cannot generate a salt");
        r = cipher_open(key, name, &head, &cipher);
        if (r < 0)
                return err_pass(r);
        r = fd_write_all(to, &head, sizeof head);
        if (r >= 0)
                r = seal_chunks(cipher, chunks, to);
        gcry_cipher_close(cipher);
        return r < 0 ? err_prefix(r, "encrypting %s: ", name) : 0;
}

int box_open(const uint8_t key[static BOX_KEY], const char *name, int from, int to) {
        _cleanup_(chunks_freep) Chunks *chunks = chunks_new(from, CHUNK + TAG);
        gcry_cipher_hd_t cipher;
        Head head;
        int r;

        if (!chunks)
                return -ENOMEM;
        r = fd_read_all(from, &head, sizeof head);
        if (r == -ENODATA || (r >= 0 && memcmp(head.magic, magic, sizeof magic) != 0))
                return err_say(-EBADMSG, "image %s is not encrypted as the ticket specifies", name);
        if (r >= 0)
                r = cipher_open(key, name, &head, &cipher);
        if (r < 0)
                return err_pass(r);
        r = open_chunks(cipher, chunks, to);
        gcry_cipher_close(cipher);
        if (r == -EBADMSG)
                return err_say(r, "image %s was modified, or is encrypted with another key", name);
        return r < 0 ? err_prefix(r, "decrypting %s: ", name) : 0;
}

bool box_is(int fd) {
        char head[sizeof magic];

        return pread(fd, head, sizeof head, 0) == (ssize_t)sizeof head &&
               memcmp(head, magic, sizeof magic) == 0;
}

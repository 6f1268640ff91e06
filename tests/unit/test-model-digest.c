/* SPDX-License-Identifier: GPL-2.0-or-later */

/* Against values of another implementation: Python's hashlib.blake2b, and Poly1305 written in it, which has
 * the value of RFC 8439, 2.5.2. */

#include "base/cleanup.h"
#include "base/fd.h"
#include "base/text.h"
#include "model/digest.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#define PLAIN "e18a3429d926ecb8f95b993d65843a87a77312b3d40b1bf0bda46769f7b1f3f3"
#define KEYED "729b206815dec6aab477e0a1b5cb3e4755cd5bdf41a2a6e1d551f5625c2553c5"

static const uint8_t key[DIGEST_KEY] = {0,  1,  2,  3,  4,  5,  6,  7,  8,  9,  10, 11, 12, 13, 14, 15,
                                        16, 17, 18, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 29, 30, 31};

static void assert_digest(const uint8_t digest[static DIGEST_SIZE], const char *wanted) {
        char text[2 * DIGEST_SIZE + 1];

        hex_encode(digest, DIGEST_SIZE, text);
        assert_string_equal(text, wanted);
}

static int is_of(const char *content, const uint8_t *with, const uint8_t digest[static DIGEST_SIZE]) {
        _cleanup_(closep) int fd = memfd_with("x", content, strlen(content));
        uint64_t size = 0;
        int r = digest_image_is(fd, with, digest, &size);

        assert_true(fd >= 0);
        assert_int_equal(size, strlen(content));
        return r;
}

static void test_of_an_image(void **state) {
        static const uint8_t other[DIGEST_KEY] = {1};
        static const uint8_t known[DIGEST_SIZE] = {0x64, 0x65, 0x66, 0x67, 0x68, 0x69, 0x6a, 0x6b,
                                                   0x6c, 0x6d, 0x6e, 0x6f, 0x70, 0x71, 0x72, 0x73,
                                                   0xfb, 0xd2, 0xa7, 0x4e, 0x0d, 0xb8, 0x28, 0x31,
                                                   0x99, 0xe4, 0x5d, 0xc9, 0x89, 0xbc, 0xdf, 0x62};
        uint8_t digest[DIGEST_SIZE] = {0}, again[DIGEST_SIZE] = {0};
        uint64_t size = 0;

        assert_int_equal(is_of("carried", key, known), 1);
        assert_int_equal(is_of("carriee", key, known), 0);
        for (int i = 0; i < 2; i++) {
                _cleanup_(closep) int fd = memfd_with("x", "carried", 7);

                assert_int_equal(digest_image(fd, key, i == 0 ? digest : again, &size), 0);
                assert_int_equal(size, 7);
        }
        assert_memory_not_equal(digest, again, sizeof digest); /* no key for a second message */
        assert_int_equal(is_of("carried", key, digest), 1);
        assert_int_equal(is_of("carried", other, digest), 0);
        for (size_t i = 0; i < DIGEST_SIZE; i++) {
                digest[i] ^= 1;
                assert_int_equal(is_of("carried", key, digest), 0);
                digest[i] ^= 1;
        }
}

static void test_of_bytes(void **state) {
        uint8_t digest[DIGEST_SIZE];

        digest_bytes("carried", 7, digest);
        assert_digest(digest, PLAIN);
        assert_int_equal(digest_pair(key, "car", 3, "ried", 4, digest), 0);
        assert_digest(digest, KEYED);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                        cmocka_unit_test(test_of_an_image),
                        cmocka_unit_test(test_of_bytes),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}

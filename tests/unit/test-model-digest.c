/* SPDX-License-Identifier: GPL-2.0-or-later */

/* Against values of another implementation (Python's hashlib.blake2b). */

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

static void test_of_a_file(void **state) {
        uint8_t digest[DIGEST_SIZE];
        uint64_t size = 0;

        for (int keyed = 0; keyed < 2; keyed++) {
                _cleanup_(closep) int fd = memfd_with("x", "carried", 7);

                assert_true(fd >= 0);
                assert_int_equal(digest_fd(fd, keyed ? key : NULL, digest, &size), 0);
                assert_int_equal(size, 7);
                assert_digest(digest, keyed ? KEYED : PLAIN);
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
                        cmocka_unit_test(test_of_a_file),
                        cmocka_unit_test(test_of_bytes),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}

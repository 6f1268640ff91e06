/* SPDX-License-Identifier: GPL-2.0-or-later */

/* Whatever is done to a box, it opens to what was sealed or not at all. */

#include "base/cleanup.h"
#include "base/err.h"
#include "base/fd.h"
#include "model/box.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cmocka.h>

#define HEAD  40u
#define CHUNK 65536u
#define TAG   16u
#define STEP  (CHUNK + TAG)

static const uint8_t key[BOX_KEY] = {1, 2, 3};

typedef struct Bytes {
        uint8_t *data;
        size_t n;
} Bytes;

static void bytes_done(Bytes *b) {
        free(b->data);
}

/* Bytes that tell where they belong. */
static Bytes sample(size_t n) {
        Bytes b = {malloc(n + 1), n};

        assert_non_null(b.data);
        for (size_t i = 0; i < n; i++)
                b.data[i] = (uint8_t)(i * 7 + i / 251 + i / CHUNK);
        return b;
}

static Bytes all_of(int fd) {
        char *data = NULL;
        size_t n;

        assert_int_equal(lseek(fd, 0, SEEK_SET), 0);
        assert_int_equal(fd_slurp(fd, 1u << 30, &data, &n), 0);
        return (Bytes){(uint8_t *)data, n};
}

static Bytes sealed(const Bytes *plain) {
        _cleanup_(closep) int from = memfd_with("plain", plain->data, plain->n);
        _cleanup_(closep) int to = memfd_create("box", MFD_CLOEXEC);

        assert_true(from >= 0 && to >= 0);
        assert_int_equal(box_seal(key, "pages-1.img", from, to), 0);
        assert_true(box_is(to));
        return all_of(to);
}

static int opened(const Bytes *box, const uint8_t *with, const char *name, Bytes *ret) {
        _cleanup_(closep) int from = memfd_with("box", box->data, box->n);
        _cleanup_(closep) int to = memfd_create("plain", MFD_CLOEXEC);
        int r;

        assert_true(from >= 0 && to >= 0);
        r = box_open(with, name, from, to);
        if (r >= 0)
                *ret = all_of(to);
        return r;
}

static void assert_refused(const Bytes *box) {
        Bytes none = {0};

        assert_int_equal(opened(box, key, "pages-1.img", &none), -EBADMSG);
}

static bool contains(const Bytes *b, const void *what, size_t n) {
        return memmem(b->data, b->n, what, n);
}

static void test_round_trip(void **state) {
        static const size_t sizes[] = {
                        0, 1, 15, 16, CHUNK - 1, CHUNK, CHUNK + 1, 2 * CHUNK, 2 * CHUNK + 5, 5 * CHUNK};

        for (size_t i = 0; i < ELEMENTS(sizes); i++) {
                _cleanup_(bytes_done) Bytes plain = sample(sizes[i]), box = sealed(&plain), back = {0};

                assert_int_equal(opened(&box, key, "pages-1.img", &back), 0);
                assert_int_equal(back.n, plain.n);
                assert_memory_equal(back.data, plain.data, plain.n);
                for (size_t at = 0; at + 16 <= plain.n; at += 4096)
                        assert_false(contains(&box, plain.data + at, 16));
        }
}

/* The same bytes are never sealed twice in the same way. */
static void test_no_box_is_like_another(void **state) {
        _cleanup_(bytes_done) Bytes plain = sample(CHUNK), a = sealed(&plain), b = sealed(&plain);

        assert_int_equal(a.n, b.n);
        for (size_t at = 8; at + 16 <= a.n; at += 16)
                assert_memory_not_equal(a.data + at, b.data + at, 16);
}

/* Magic, salt, and of the first, a middle and the last chunk bytes and tag. */
static void test_every_region_is_guarded(void **state) {
        static const size_t places[] = {0,
                                        7,
                                        8,
                                        39,
                                        HEAD,
                                        HEAD + CHUNK - 1,
                                        HEAD + CHUNK,
                                        HEAD + STEP - 1,
                                        HEAD + STEP + 5,
                                        HEAD + 2 * STEP - 1,
                                        HEAD + 2 * STEP,
                                        HEAD + 2 * STEP + 4,
                                        HEAD + 2 * STEP + 5,
                                        HEAD + 2 * STEP + 20};
        _cleanup_(bytes_done) Bytes plain = sample(2 * CHUNK + 5), box = sealed(&plain);

        assert_int_equal(box.n, HEAD + 2 * STEP + 5 + TAG);
        for (size_t i = 0; i < ELEMENTS(places); i++)
                for (unsigned bit = 0; bit < 8; bit++) {
                        box.data[places[i]] ^= (uint8_t)(1u << bit);
                        assert_refused(&box);
                        box.data[places[i]] ^= (uint8_t)(1u << bit);
                }
}

static void test_small_box_byte_by_byte(void **state) {
        _cleanup_(bytes_done) Bytes plain = sample(9), box = sealed(&plain);

        for (size_t i = 0; i < box.n; i++) {
                box.data[i] ^= 0x10;
                assert_refused(&box);
                box.data[i] ^= 0x10;
        }
}

static void test_cut_short(void **state) {
        static const size_t ends[] = {0,
                                      1,
                                      HEAD - 1,
                                      HEAD,
                                      HEAD + TAG - 1,
                                      HEAD + TAG,
                                      HEAD + CHUNK,
                                      HEAD + STEP - 1,
                                      HEAD + STEP,
                                      HEAD + STEP + 1,
                                      HEAD + STEP + TAG,
                                      HEAD + 2 * STEP - 1,
                                      HEAD + 2 * STEP,
                                      HEAD + 3 * STEP - 1};
        _cleanup_(bytes_done) Bytes plain = sample(3 * CHUNK), box = sealed(&plain);
        size_t whole = box.n;

        assert_int_equal(whole, HEAD + 3 * STEP);
        for (size_t i = 0; i < ELEMENTS(ends); i++) {
                box.n = ends[i];
                assert_refused(&box);
        }
        box.n = whole + 1; /* fd_slurp() has left a NUL there */
        assert_refused(&box);
}

static void swap(Bytes *box, size_t a, size_t b) {
        uint8_t kept[STEP];

        memcpy(kept, box->data + HEAD + a * STEP, STEP);
        memcpy(box->data + HEAD + a * STEP, box->data + HEAD + b * STEP, STEP);
        memcpy(box->data + HEAD + b * STEP, kept, STEP);
}

/* Chunks that are whole, and not where they were. */
static void test_order_of_chunks(void **state) {
        _cleanup_(bytes_done) Bytes plain = sample(4 * CHUNK), box = sealed(&plain);
        size_t whole = box.n;

        for (size_t a = 0; a < 4; a++)
                for (size_t b = a + 1; b < 4; b++) {
                        swap(&box, a, b);
                        assert_refused(&box);
                        swap(&box, a, b);
                }
        /* One left out. */
        memmove(box.data + HEAD + STEP, box.data + HEAD + 2 * STEP, 2 * STEP);
        box.n = whole - STEP;
        assert_refused(&box);
}

/* A chunk of another box of the same key. */
static void test_chunk_of_another(void **state) {
        _cleanup_(bytes_done) Bytes plain = sample(2 * CHUNK), box = sealed(&plain), other = sealed(&plain);

        memcpy(box.data + HEAD, other.data + HEAD, STEP);
        assert_refused(&box);
        memcpy(box.data, other.data, HEAD + STEP);
        assert_refused(&box);
}

static void test_wrong_key_or_name(void **state) {
        static const uint8_t other[BOX_KEY] = {1, 2, 4};
        _cleanup_(bytes_done) Bytes plain = sample(100), box = sealed(&plain), back = {0};

        assert_int_equal(opened(&box, other, "pages-1.img", &back), -EBADMSG);
        assert_non_null(strstr(err_text(-EBADMSG), "another key"));
        assert_int_equal(opened(&box, key, "pages-2.img", &back), -EBADMSG);
        assert_int_equal(opened(&plain, key, "pages-1.img", &back), -EBADMSG);
        assert_non_null(strstr(err_text(-EBADMSG), "is not encrypted"));
}

int main(void) {
        const struct CMUnitTest tests[] = {
                        cmocka_unit_test(test_round_trip),
                        cmocka_unit_test(test_no_box_is_like_another),
                        cmocka_unit_test(test_every_region_is_guarded),
                        cmocka_unit_test(test_small_box_byte_by_byte),
                        cmocka_unit_test(test_cut_short),
                        cmocka_unit_test(test_order_of_chunks),
                        cmocka_unit_test(test_chunk_of_another),
                        cmocka_unit_test(test_wrong_key_or_name),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: GPL-2.0-or-later */

#include "base/cleanup.h"
#include "base/err.h"
#include "model/codec.h"
#include "model/model.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

static Keep *sample(void) {
        Keep *keep = model_new(Keep, keep__init);

        assert_non_null(keep);
        assert_int_equal(model_append(keep->targets, keep->n_targets, strdup("session:4")), 0);
        return keep;
}

static void test_round_trip(void **state) {
        _cleanup_(keep_freep) Keep *keep = sample(), *back = NULL;
        _cleanup_(freep) void *bytes = NULL;
        size_t size;

        assert_int_equal(codec_encode(CODEC_KEEP, &keep->base, &bytes, &size), 0);
        assert_int_equal(codec_decode(CODEC_KEEP, "x", bytes, size, (ProtobufCMessage **)&back), 0);
        assert_int_equal(back->n_targets, 1);
        assert_string_equal(back->targets[0], "session:4");
}

/* Every single cut and every single flipped byte is refused. */
static void test_every_damage_is_refused(void **state) {
        _cleanup_(keep_freep) Keep *keep = sample();
        _cleanup_(freep) uint8_t *bytes = NULL;
        ProtobufCMessage *back = NULL;
        size_t size;

        assert_int_equal(codec_encode(CODEC_KEEP, &keep->base, (void **)&bytes, &size), 0);
        for (size_t i = 0; i < size; i++)
                assert_int_equal(codec_decode(CODEC_KEEP, "x", bytes, i, &back), -EBADMSG);
        for (size_t i = 0; i < size; i++) {
                bytes[i] ^= 0x40;
                assert_true(codec_decode(CODEC_KEEP, "x", bytes, size, &back) < 0);
                bytes[i] ^= 0x40;
        }
        assert_int_equal(codec_decode(CODEC_TICKET, "x", bytes, size, &back), -EBADMSG);
        assert_null(back);
}

/* carryover may have been upgraded, or taken back, since a file was written. */
static void test_formats(void **state) {
        _cleanup_(keep_freep) Keep *keep = sample(), *older = NULL;
        _cleanup_(freep) uint8_t *bytes = NULL;
        ProtobufCMessage *newer = NULL;
        size_t size;

        assert_int_equal(codec_encode(CODEC_KEEP, &keep->base, (void **)&bytes, &size), 0);
        bytes[8] = CODEC_FORMAT - 1;
        digest_bytes(bytes, size - CODEC_DIGEST, bytes + size - CODEC_DIGEST);
        assert_int_equal(codec_decode(CODEC_KEEP, "x", bytes, size, (ProtobufCMessage **)&older), 0);
        assert_string_equal(older->targets[0], "session:4");

        bytes[8] = CODEC_FORMAT + 1;
        digest_bytes(bytes, size - CODEC_DIGEST, bytes + size - CODEC_DIGEST);
        assert_int_equal(codec_decode(CODEC_KEEP, "the keep list", bytes, size, &newer), -EPROTONOSUPPORT);
        assert_string_equal(err_text(-EPROTONOSUPPORT),
                            "the keep list has format 2, this version of carryover supports up to 1: "
                            "install a newer version");
        assert_null(newer);
}

/* Field 0, in two bytes: protobuf-c would write it in one, and not read it again. */
static void test_what_decodes_once(void **state) {
        static const uint8_t zero[] = {0x82, 0x00, 0x08, 1, 2, 3, 4, 5, 6, 7, 8};
        _cleanup_(keep_freep) Keep *keep = sample();
        _cleanup_(freep) uint8_t *bytes = NULL;
        ProtobufCMessage *back = NULL;
        size_t size;

        assert_int_equal(codec_encode(CODEC_KEEP, &keep->base, (void **)&bytes, &size), 0);
        assert_int_equal(size, 24 + sizeof zero + CODEC_DIGEST);
        memcpy(bytes + 24, zero, sizeof zero);
        digest_bytes(bytes, size - CODEC_DIGEST, bytes + size - CODEC_DIGEST);
        assert_int_equal(codec_decode(CODEC_KEEP, "x", bytes, size, &back), -EBADMSG);
        assert_null(back);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                        cmocka_unit_test(test_round_trip),
                        cmocka_unit_test(test_every_damage_is_refused),
                        cmocka_unit_test(test_formats),
                        cmocka_unit_test(test_what_decodes_once),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}

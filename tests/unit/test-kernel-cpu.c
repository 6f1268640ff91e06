/* SPDX-License-Identifier: GPL-2.0-or-later */

#include "base/cleanup.h"
#include "base/fd.h"
#include "kernel/cpu.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

static char *instructions(const char *cpuinfo) {
        char path[] = "/tmp/carryover-test-XXXXXX", *words = NULL;
        _cleanup_(closep) int fd = mkstemp(path);
        int r;

        assert_true(fd >= 0);
        assert_int_equal(fd_write_all(fd, cpuinfo, strlen(cpuinfo)), 0);
        r = cpu_instructions(path, &words);
        assert_int_equal(unlink(path), 0);
        assert_int_equal(r, strstr(cpuinfo, "flags") || strstr(cpuinfo, "Features") ? 0 : -ENODATA);
        return words;
}

static void test_instructions(void **state) {
        _cleanup_(freep) char *words = instructions("processor\t: 0\nmodel name\t: avx\n"
                                                    "flags\t\t: fpu sse sse4_2 rep_good avx512f xsaves pti\n"
                                                    "processor\t: 1\nflags\t\t: aes\n"),
                              *none = instructions("flags\t\t: fpu\n"), *here = NULL,
                              *arm = instructions("processor\t: 0\nBogoMIPS\t: 50.00\n"
                                                  "Features\t: fp asimd evtstrm aes crc32 cpuid sve\n");

        assert_string_equal(words, "sse sse4_2 avx512f");
        assert_string_equal(none, "");
        assert_string_equal(arm, "fp asimd aes crc32 sve");
        assert_null(instructions("processor\t: 0\n"));
        assert_int_equal(cpu_instructions("/proc/cpuinfo", &here), 0);
#ifdef __x86_64__
        assert_non_null(strstr(here, "sse2")); /* has it by definition */
#endif
}

static void test_lost(void **state) {
        static const struct {
                const char *before, *now, *lost;
        } cases[] = {
                        {"sse avx avx2", "sse avx avx2", ""},
                        {"sse avx avx2", "avx2 sse avx avx512f", ""},
                        {"sse avx avx2 avx512f", "sse avx2", "avx avx512f"},
                        {"avx", "avx2 xavx", "avx"},
                        {"sse avx", "", "sse avx"},
                        {"", "sse", ""},
        };

        for (size_t i = 0; i < ELEMENTS(cases); i++) {
                _cleanup_(freep) char *lost = NULL;

                assert_int_equal(cpu_lost(cases[i].before, cases[i].now, &lost), 0);
                assert_string_equal(lost, cases[i].lost);
        }
}

int main(void) {
        const struct CMUnitTest tests[] = {
                        cmocka_unit_test(test_instructions),
                        cmocka_unit_test(test_lost),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}

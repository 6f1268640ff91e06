/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/* A file that a test has made, with the directories above it. */

#include "base/cleanup.h"
#include "base/fd.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/stat.h>

#include <cmocka.h>

static inline void make_file(const char *dir_path, const char *name, const char *text) {
        _cleanup_(closep) int dir = open_dirs(dir_path, 0755);

        assert_true(dir >= 0);
        assert_int_equal(file_replace(dir, name, text, strlen(text)), 0);
        assert_int_equal(fchmodat(dir, name, 0644, 0), 0);
}

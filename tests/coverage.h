/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/*
 * Read before every file in a build with -Db_coverage=true. A child that leaves by _exit() runs no exit
 * handler, so what it has covered would be lost: it is written here.
 */

#include <unistd.h>

void __gcov_dump(void);

static inline _Noreturn void coverage_exit(int status) {
        __gcov_dump();
        _exit(status);
}

#define _exit coverage_exit

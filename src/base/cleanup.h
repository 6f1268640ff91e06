/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/*
 * Scope-bound release. A variable declared with _cleanup_(fn) is released by fn(&var) when it leaves its
 * scope; TAKE() hands its value on instead. Every release function accepts an empty value.
 */

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>

#define _cleanup_(fn) __attribute__((cleanup(fn)))

#define TAKE(x)                                                                                             \
        ({                                                                                                  \
                __typeof__(x) take_value_ = (x);                                                            \
                (x) = (__typeof__(x)){0};                                                                   \
                take_value_;                                                                                \
        })

#define TAKE_FD(fd)                                                                                         \
        ({                                                                                                  \
                int take_fd_ = (fd);                                                                        \
                (fd) = -1;                                                                                  \
                take_fd_;                                                                                   \
        })

#define ELEMENTS(a) (sizeof(a) / sizeof((a)[0]))

/* Defines name##p(T **), for _cleanup_, from a release function that takes a T *. */
#define DEFINE_CLEANUP(type, fn)                                                                            \
        static inline void fn##p(type *p) {                                                                 \
                if (*p)                                                                                     \
                        fn(*p);                                                                             \
        }

static inline void freep(void *p) {
        free(*(void **)p);
}

DEFINE_CLEANUP(FILE *, fclose)
DEFINE_CLEANUP(DIR *, closedir)

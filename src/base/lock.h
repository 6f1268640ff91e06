/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/*
 * A lock stands in the struct that it guards, and is taken for a scope:
 *
 *         _locked_ pthread_mutex_t *locked = lock(&reserve->lock);
 */

#include "base/cleanup.h"

#include <pthread.h>

/* clang takes a variable that only its release reads for unused. */
#define _locked_ _cleanup_(unlockp) __attribute__((unused))

static inline pthread_mutex_t *lock(pthread_mutex_t *mutex) {
        pthread_mutex_lock(mutex);
        return mutex;
}

static inline void unlockp(pthread_mutex_t **p) {
        if (*p)
                pthread_mutex_unlock(*p);
}

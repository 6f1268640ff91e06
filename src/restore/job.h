/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/* What a tree is restored with. */

#include "criu/criu.h"
#include "model/config.h"
#include "model/timeline.h"
#include "store/store.h"
#include "tty/pty.h"

#include <pthread.h>

typedef struct RestoreJob {
        const Config *config;
        const Store *store;
        const CriuFeatures *features;
        ImageKeys keys;
        Timeline *timeline;
        PtyReserve *ptys;
        pthread_mutex_t *remaps_lock; /* one restore at a time with files that have lost their names */
        int stop_fd;                  /* readable: give up waiting */

        /* Asked when everything that can be looked at before has been: waits until CRIU's features are known
         * and the tree's scope is there. 0, or why there will be none. */
        int (*ready)(const Tree *tree, int *ret_procs_fd, void *userdata);
        void *userdata;
} RestoreJob;

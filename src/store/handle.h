/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

#include <stdbool.h>

#define STORE_VOLATILE "volatile.img"

typedef struct Store {
        int fd; /* of the store */
        char path[256];
        bool absent; /* store_look(): fd is the directory that it would be made in */
} Store;

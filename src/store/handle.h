/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

#define STORE_VOLATILE "volatile.img"

typedef struct Store {
        int fd; /* of the store */
        char path[256];
} Store;

/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/* Dumps by sock_diag(7): what sockets the kernel has. */

#include <stddef.h>

#define DIAG_ATTRIBUTES 32 /* more than any family has */

typedef struct DiagAttribute {
        const void *data; /* NULL: the answer has none */
        size_t size;
} DiagAttribute;

typedef struct DiagDump {
        const void *request; /* a struct *_diag_req */
        size_t request_size;
        size_t body_size; /* of the answer's struct; a shorter answer is passed over */

        /* Asked for each socket, with its attributes by their numbers, which are unaligned. 0: go on, 1:
         * enough; negative ends the dump with that error. */
        int (*each)(const void *body, const DiagAttribute attributes[static DIAG_ATTRIBUTES],
                    void *userdata);
        void *userdata;
} DiagDump;

/* Answer 1: this kernel cannot tell. A list that changed meanwhile is as good as a moment later. */
int diag_dump(const DiagDump *dump);

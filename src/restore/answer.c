/* SPDX-License-Identifier: GPL-2.0-or-later */

#include "restore/answer.h"

#include "base/err.h"
#include "base/fd.h"

#include <string.h>

#define ANSWER_MAX 8192u /* a PID and one sentence */

int init_answer_write(int fd, const InitAnswer *answer) {
        uint32_t size = (uint32_t)init_answer__get_packed_size(answer);
        uint8_t bytes[sizeof size + ANSWER_MAX];

        if (size > ANSWER_MAX)
                return err_say(-E2BIG, "invalid answer of %u bytes", size);
        memcpy(bytes, &size, sizeof size);
        init_answer__pack(answer, bytes + sizeof size);
        return fd_write_all(fd, bytes, sizeof size + size);
}

int init_answer_read(int fd, InitAnswer **ret) {
        uint8_t bytes[ANSWER_MAX];
        uint32_t size;
        int r;

        r = fd_read_all(fd, &size, sizeof size);
        if (r >= 0)
                r = size <= sizeof bytes ? fd_read_all(fd, bytes, size)
                                         : err_say(-EBADMSG, "invalid answer of %u bytes", size);
        if (r < 0)
                return err_pass(r);
        *ret = init_answer__unpack(NULL, size, bytes);
        return *ret ? 0 : err_say(-EBADMSG, "an answer cannot be decoded");
}

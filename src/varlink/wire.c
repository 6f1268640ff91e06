/* SPDX-License-Identifier: GPL-2.0-or-later */

#include "varlink/wire.h"

#include "base/err.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

void wire_done(Wire *wire) {
        free(wire->buffer);
        wire->buffer = NULL;
        wire->have = wire->taken = 0;
}

static int await(int fd, short events, uint64_t deadline) {
        struct pollfd p = {.fd = fd, .events = events};
        int n;

        do
                n = poll(&p, 1, deadline_ms(deadline));
        while (n < 0 && errno == EINTR);
        if (n < 0)
                return err_born(-errno, "cannot wait for the peer");
        return n > 0 ? 0 : err_say(-ETIMEDOUT, "the peer is silent");
}

/* Answer 1: the end. */
static int more(Wire *wire, uint64_t deadline) {
        ssize_t n;
        int r;

        if (wire->have == WIRE_MESSAGE_MAX)
                return err_say(-EMSGSIZE, "a message has more than %u bytes", WIRE_MESSAGE_MAX);
        r = await(wire->fd, POLLIN, deadline);
        if (r < 0)
                return r;
        n = recv(wire->fd, wire->buffer + wire->have, WIRE_MESSAGE_MAX - wire->have, MSG_DONTWAIT);
        if (n < 0 && errno != EAGAIN && errno != EINTR)
                return errno == ECONNRESET ? 1 : err_born(-errno, "cannot read from the peer");
        if (n > 0)
                wire->have += (size_t)n;
        return n == 0;
}

int wire_receive(Wire *wire, uint64_t timeout_usec, const char **ret, size_t *ret_size) {
        uint64_t deadline = now_monotonic() + timeout_usec;
        const char *end;
        int r;

        if (!wire->buffer)
                wire->buffer = malloc(WIRE_MESSAGE_MAX);
        if (!wire->buffer)
                return -ENOMEM;
        wire->have -= wire->taken;
        memmove(wire->buffer, wire->buffer + wire->taken, wire->have);
        wire->taken = 0;
        while (!(end = memchr(wire->buffer, '\0', wire->have))) {
                r = more(wire, deadline);
                if (r != 0)
                        return r < 0 ? err_pass(r) : 1;
        }
        *ret = wire->buffer;
        *ret_size = (size_t)(end - wire->buffer);
        wire->taken = *ret_size + 1;
        return 0;
}

int wire_send(const Wire *wire, const char *text, uint64_t timeout_usec) {
        uint64_t deadline = now_monotonic() + timeout_usec;

        for (size_t left = strlen(text) + 1; left > 0;) {
                ssize_t n = send(wire->fd, text, left, MSG_DONTWAIT | MSG_NOSIGNAL);
                int r = 0;

                if (n < 0 && errno == EAGAIN)
                        r = await(wire->fd, POLLOUT, deadline);
                else if (n < 0 && errno != EINTR)
                        r = err_born(-errno, "cannot write to the peer");
                if (r < 0)
                        return err_pass(r);
                if (n > 0) {
                        text += n;
                        left -= (size_t)n;
                }
        }
        return 0;
}

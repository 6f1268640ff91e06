/* SPDX-License-Identifier: GPL-2.0-or-later */

#include "varlink/server.h"

#include "base/cleanup.h"
#include "base/err.h"
#include "varlink/methods.h"
#include "varlink/reboot.h"
#include "varlink/subscribe.h"
#include "varlink/wire.h"

#include <errno.h>

static int answer(const Wire *wire, const Call *call) {
        _cleanup_(freep) char *reply = NULL;
        int r = method_permit(call, &reply);

        if (r == 0 && method_streams(call))
                return err_pass(subscribe(wire, call));
        if (r == 0)
                r = method_call(call, &reply);
        if (r >= 0 && !call->oneway)
                r = wire_send(wire, reply, WIRE_PATIENCE);
        reboot_told();
        return r < 0 ? err_pass(r) : 0;
}

/* Answer 1: there are no more. */
static int next(Wire *wire, Call *call) {
        const char *text;
        size_t size;
        int r = wire_receive(wire, WIRE_PATIENCE, &text, &size);

        if (r == 0)
                r = call_read(text, size, call);
        if (r == -EINVAL)
                return err_say(-EINVAL, "the peer sent what is no call");
        if (r != 0)
                return r < 0 ? err_pass(r) : 1;
        r = answer(wire, call);
        call_done(call);
        return r;
}

int server_run(int fd, const PolkitSubject *peer) {
        _cleanup_(wire_done) Wire wire = {.fd = fd};
        Call call = {.peer = peer};
        int r;

        do
                r = next(&wire, &call);
        while (r == 0);
        return r == -ETIMEDOUT || r > 0 ? 0 : err_pass(r);
}

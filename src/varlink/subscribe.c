/* SPDX-License-Identifier: GPL-2.0-or-later */

#include "varlink/subscribe.h"

#include "base/await.h"
#include "base/cleanup.h"
#include "base/err.h"
#include "base/fd.h"
#include "flow/now.h"
#include "store/watch.h"
#include "varlink/methods.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>

typedef struct Subscription {
        const Wire *wire;
        const Call *call;
        char *last; /* what was said */
} Subscription;

static void subscription_done(Subscription *s) {
        free(s->last);
}

/* Answer 1: to be asked again after the next change. */
static int look(void *userdata, uint64_t *deadline_monotonic) {
        Subscription *s = userdata;
        _cleanup_(freep) char *reply = NULL;
        int r = method_call(s->call, &reply);

        (void)deadline_monotonic;
        if (r < 0)
                return err_pass(r);
        if (s->last && strcmp(reply, s->last) == 0)
                return 1;
        r = wire_send(s->wire, reply, WIRE_PATIENCE);
        if (r < 0)
                return err_pass(r);
        free(s->last);
        s->last = TAKE(reply);
        return call_continues(s->last);
}

/* Whoever asks and cannot be told of changes hears why, as of any other call. */
static int refuse(const Wire *wire, int why) {
        _cleanup_(freep) char *reply = NULL;
        int r = method_failed(why, &reply);

        return r < 0 ? err_pass(r) : err_pass(wire_send(wire, reply, WIRE_PATIENCE));
}

int subscribe(const Wire *wire, const Call *call) {
        _cleanup_(subscription_done) Subscription s = {.wire = wire, .call = call};
        _cleanup_(closep) int fd = now_watch();
        int r;

        if (fd < 0)
                return refuse(wire, fd);
        r = await_change(&(Await){
                        .look = look,
                        .userdata = &s,
                        .event_fd = fd,
                        .events = POLLIN,
                        .drain = store_watch_drain,
                        .stop_fd = wire->fd,
                        .deadline_monotonic = UINT64_MAX,
                        .what = "a change",
        });
        return r == -ECANCELED ? 0 : err_pass(r);
}

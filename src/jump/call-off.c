/* SPDX-License-Identifier: GPL-2.0-or-later */

/*
 * Until the ticket is sealed a shutdown is a queue of jobs in PID 1, and what they have stopped can start
 * again; the sessions still run, or stand frozen and are let go. Behind the seal their processes are dead,
 * and the way back is the restore, in whichever kernel.
 */

#include "jump/call-off.h"

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/err.h"
#include "kernel/ids.h"
#include "kernel/kexec.h"
#include "store/run.h"
#include "store/store.h"

#include <string.h>
#include <time.h>

int call_off_shutdown(Bus *manager, const Request *request) {
        int r = bus_cancel_shutdown(manager), k = 0;

        if (r < 0)
                r = err_prefix(r, "cannot cancel the shutdown: ");
        if (request && request->loaded)
                k = kexec_unload();
        if (k < 0 && r >= 0)
                r = err_prefix(k, "another reboot may use the kernel that was loaded for this one: ");
        k = request ? run_request_remove() : 0; /* last: a save that begins now sees it, or no shutdown */
        return r < 0 ? r : k < 0 ? err_pass(k) : 0;
}

static int shutdown_action(Bus **ret_manager, const char **ret_action) {
        int r = bus_open_manager(ret_manager);

        return r < 0 ? err_pass(r) : bus_shutdown_action(*ret_manager, ret_action);
}

/* Answer 1: nobody saves. A save that has only begun cannot be called off yet, and one that has decided
 * comes to its end: both are looked at again. That is no pidfd to wait for, since who asks may be kept, and
 * CRIU before 4.1 saves nobody who has one. */
static int decide(void) {
        static const struct timespec moment = {.tv_nsec = 50000000};
        uint64_t deadline = now_monotonic() + SAVE_TIMEOUT;
        int r;

        while ((r = run_call_off()) == 1 && (r = run_lock_is_free("save")) == 0) {
                if (now_monotonic() >= deadline)
                        return err_say(-ETIMEDOUT, "the running save does not terminate");
                (void)nanosleep(&moment, NULL);
        }
        return r < 0 ? err_pass(r) : r;
}

/* Answer 1: nothing is sealed but what waits for its restore from before. */
static int sealed_since(const Config *config, uint64_t realtime) {
        _cleanup_(store_close) Store store = {.fd = -1};
        _cleanup_(ticket_freep) Ticket *ticket = NULL;
        char boot[37];
        int r = store_open(config, &store);

        if (r >= 0)
                r = store_ticket(&store, &ticket);
        if (r != 0)
                return r < 0 ? err_pass(r) : 1;
        r = system_boot_id(boot);
        if (r < 0)
                return err_pass(r);
        return strcmp(ticket->old_boot, boot) != 0 || ticket->sealed_at < realtime;
}

/* A save that has decided for the seal may still fail, and then takes the shutdown back by itself. */
static int why_not(const Config *config, CallOff *ret) {
        _cleanup_(bus_closep) Bus *manager = NULL;
        const char *action = NULL;
        int r = shutdown_action(&manager, &action);

        if (r >= 0)
                r = sealed_since(config, 0);
        if (r < 0)
                return err_pass(r);
        *ret = action && r == 0 ? CALL_OFF_LATE : CALL_OFF_NOTHING;
        return 0;
}

int call_off(const Config *config, CallOff *ret) {
        int r = decide();

        if (r == 1)
                return err_pass(why_not(config, ret));
        if (r < 0)
                return err_pass(r);
        *ret = CALL_OFF_BEGUN;
        return 0;
}

/* A save that died is put in order by ExecStopPost of its service, which removes the note. */
static int is_in_order(const Config *config) {
        _cleanup_(store_close) Store store = {.fd = -1};
        _cleanup_(ticket_freep) Ticket *note = NULL;
        int r = store_open(config, &store);

        if (r >= 0)
                r = store_saving(&store, &note);
        if (r == 0)
                return err_say(-EIO, "the save ended before its time: see carryover status");
        return r < 0 ? err_pass(r) : 0;
}

int call_off_end(const Config *config, uint64_t since) {
        _cleanup_(request_freep) Request *request = NULL;
        _cleanup_(bus_closep) Bus *manager = NULL;
        const char *action = NULL;
        int r = run_lock_wait("save", 0, now_monotonic() + SAVE_TIMEOUT);

        if (r >= 0)
                r = sealed_since(config, since);
        if (r == 0)
                return err_say(-EALREADY, "too late to cancel: the save of another shutdown is sealed; the "
                                          "next boot restores the kept trees");
        if (r >= 0)
                r = shutdown_action(&manager, &action);
        if (r >= 0)
                r = run_request_read(&request);
        if (r >= 0 && (action || request)) /* no save has begun */
                r = call_off_shutdown(manager, request);
        return r < 0 ? err_pass(r) : is_in_order(config);
}

/* SPDX-License-Identifier: GPL-2.0-or-later */

/*
 * A shutdown in the middle of a restore. The restore ends first: what has not begun it seals again, and what
 * is back is saved as any other tree. Then both are in one ticket, which takes the place of the older one by
 * the rename that is the seal; so there is no moment at which a tree that waits is in none. Until the save
 * has ended, no other restore begins.
 */

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/err.h"
#include "base/fd.h"
#include "base/log.h"
#include "flow/flow.h"
#include "flow/hold-note.h"
#include "flow/saving.h"
#include "model/connections.h"
#include "model/waiting.h"

#include <signal.h>

/* Behind the deadline of a CRIU that is at work: what the restore does behind it. */
#define RESTORE_GRACE (60 * USEC_PER_SEC)

/* If this shutdown is called off, the restore must start once more, and systemd does not start what has
 * crashed too often. */
int saving_end_restore(Saving *s) {
        int r;

        log_failed(bus_reset_unit(s->manager, RESTORE_UNIT), "the restore may not start");
        r = run_lock_wait("restore", SIGTERM, now_monotonic() + s->config.criu_usec + RESTORE_GRACE);
        if (r >= 0)
                r = s->restore_lock = run_lock("restore");
        return r < 0 ? err_pass(r) : 0;
}

void saving_allow_restore(Saving *s) {
        s->restore_lock = fd_close(s->restore_lock);
}

int saving_find_waiting(Saving *s) {
        int r = store_waiting(&s->store, &s->waiting);

        if (r == -EBADMSG) { /* nobody can restore it */
                log_warning("%s", err_text(r));
                return 0;
        }
        return r < 0 ? err_pass(r) : 0;
}

int saving_give(Saving *s, Candidates *trees) {
        int r = candidates_give(trees, s->ticket);

        if (r < 0)
                return r;
        s->n_own = s->ticket->n_trees;
        return s->waiting ? waiting_name_apart(s->ticket, s->waiting) : 0;
}

int saving_join(Saving *s) {
        if (!s->waiting)
                return 0;
        log_info("%zu trees of the previous save are still waiting and will be carried along",
                 s->waiting->n_trees);
        return waiting_join(s->ticket, s->waiting);
}

/* They stay sealed, and held. */
static int hold_waiting(Saving *s) {
        _cleanup_(hold_set_done) HoldSet all = {0};
        HoldBackend backend = hold_backend_of(s->waiting->hold_backend);
        int r = hold_set_of(s->waiting, &all);

        if (r >= 0)
                r = hold_guard_end(); /* the restore's, if it is still there */
        if (r >= 0)
                r = hold_guard_leave(s->guard, backend, &all);
        if (r >= 0)
                r = hold_set(backend, &all, &backend);
        if (r >= 0)
                r = hold_note_write(s->waiting, backend, &all);
        return r < 0 ? err_pass(r) : 0;
}

void saving_part(Saving *s) {
        waiting_part(s->ticket, s->n_own);
        if (s->waiting)
                log_failed(hold_waiting(s), "peers of waiting trees may get a reset");
        s->guard = hold_guard_stop(s->guard);
        if (s->waiting)
                return;
        log_failed(hold_clear(), "cannot remove the hold");
        hold_note_forget();
}

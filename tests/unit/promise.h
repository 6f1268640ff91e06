/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/* What docs/RELIABILITY.md promises, asked of a machine of fakes and of its store. */

#include "tests/fakes/machine.h"

/* NULL: nothing is sealed. The caller frees. */
static inline Ticket *promise_sealed(void) {
        Store store = machine_store();
        Ticket *t = NULL;

        assert_true(store_ticket(&store, &t) >= 0);
        store_close(&store);
        return t;
}

static inline Ticket *promise_report(void) {
        Store store = machine_store();
        Ticket *t = NULL;

        assert_true(store_report(&store, &t) >= 0);
        store_close(&store);
        return t;
}

/* Whether a save is noted that has not come to its end. */
static inline bool promise_noted(void) {
        return access(MACHINE_STORE "/saving", F_OK) == 0;
}

static inline bool promise_brings(const Ticket *t, const FakeTree *tree) {
        const Tree *there = t ? ticket_find(t, tree->name) : NULL;

        return there && (!there->outcome || there->outcome->state == OUTCOME__STATE__PENDING);
}

/* Each tree lives, or the next boot has it to bring back: never both, and never neither. */
static inline void promise_one_life(const Ticket *sealed) {
        for (size_t i = 0; i < fake->n_trees; i++) {
                const FakeTree *t = fake->trees + i;
                bool lives = t->life == FAKE_RUNS;

                if (t->life == FAKE_FROZEN || lives == promise_brings(sealed, t))
                        fail_msg("%s %s, and the ticket %s (%s)", t->name,
                                 t->life == FAKE_FROZEN ? "stands frozen"
                                 : lives                ? "lives"
                                                        : "is dead",
                                 promise_brings(sealed, t) ? "has it" : "does not have it",
                                 fake_struck_event());
        }
}

static inline bool promise_struck(const char *function) {
        return strncmp(fake_struck_event(), function, strlen(function)) == 0;
}

/* Before the seal, or without one: the hold is off, and it was said why. */
static inline void promise_stopped(bool requested) {
        _cleanup_(ticket_freep) Ticket *report = promise_report();

        if (!promise_struck("hold_clear"))
                assert_false(fake->hold);
        assert_false(fake->guard_left);
        if (!promise_struck("store_saving_end"))
                assert_false(promise_noted());
        if (!promise_struck("run_hold_remove"))
                assert_int_equal(access("/run/carryover/hold", F_OK), -1);
        if (promise_struck("store_report_write"))
                return;
        assert_non_null(report);
        assert_non_null(report->stopped);
        for (size_t i = 0; i < report->n_trees; i++) {
                assert_int_equal(report->trees[i]->outcome->state, OUTCOME__STATE__LEFT);
                assert_true(report->trees[i]->outcome->reason[0]);
        }
        if (!requested || promise_struck("bus_cancel_shutdown"))
                return;
        assert_true(fake->cancelled);
        if (!promise_struck("run_request_remove"))
                assert_int_equal(access(RUN_REQUEST, F_OK), -1);
}

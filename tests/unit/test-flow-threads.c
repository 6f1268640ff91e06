/* SPDX-License-Identifier: GPL-2.0-or-later */

/*
 * The threads of a save and of a restore, as many as there are trees, with what they share: the ticket, the
 * timeline, the hold, the bus, the store. CRIU and the machine are tests/fakes/. Built with
 * -Db_sanitize=thread it says who reads what another writes. Needs root: /run is replaced by a tmpfs in a
 * mount namespace of the test's own.
 */

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/err.h"
#include "base/fd.h"
#include "base/log.h"
#include "base/text.h"
#include "flow/restoring.h"
#include "flow/saving.h"
#include "restore/running.h"
#include "tests/fakes/outside.h"
#include "tests/unit/own-run.h"
#include "tests/unit/ticket.h"

#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#define TREES 12u
#define FIRST 1000u

typedef enum Fate { WELL, FAILS, WAITS } Fate;

static Fate fate_of(const Tree *tree) {
        return tree->root_pid % 4 == 1 ? FAILS : tree->root_pid % 4 == 2 ? WAITS : WELL;
}

static void add_connection(Tree *tree) {
        static const uint8_t here[] = {192, 0, 2, 1}, there[] = {192, 0, 2, 2};
        Connection *c = model_new(Connection, connection__init);

        assert_non_null(c);
        c->local_port = 22;
        c->remote_port = tree->root_pid;
        assert_int_equal(model_set_bytes(&c->local, here, sizeof here), 0);
        assert_int_equal(model_set_bytes(&c->remote, there, sizeof there), 0);
        assert_int_equal(model_append(tree->connections, tree->n_connections, c), 0);
}

static Ticket *sample(void) {
        Ticket *t = sample_ticket("aa");

        assert_int_equal(model_set_string(&t->new_kernel, "l"), 0);
        for (uint32_t i = 0; i < TREES; i++) {
                char name[32];
                Tree *tree;

                snprintf(name, sizeof name, "pid-%u", FIRST + i);
                tree = sample_tree(t, name, FIRST + i);
                tree->root_start = FIRST + i;
        }
        return t;
}

static unsigned holds_before;

/* What the rooms of the steps do to a tree of theirs in its thread. */

int restore_tree(const RestoreJob *job, Tree *tree) {
        StepClock clock = step_begin();
        int procs_fd, r;

        step_end(job->timeline, "restore.check", tree->name, clock);
        r = job->ready(tree, &procs_fd, job->userdata);
        if (r >= 0 && fate_of(tree) == WAITS)
                r = err_say(-ECANCELED, "the wait for another tree was cancelled");
        if (r >= 0 && fate_of(tree) == FAILS)
                r = err_say(-EIO, "%s fails", tree->name);
        if (r < 0)
                return err_pass(r);
        while (fake_holds_set() - holds_before < TREES / 4) /* the others look at all trees meanwhile */
                sched_yield();
        assert_true(job->features->lock_skip);
        assert_int_equal(tree_degrade(tree, "x", NULL, "y"), 0);
        step_end(job->timeline, "restore.criu", tree->name, clock);
        return running_outcome(tree, "host", (pid_t)tree->root_pid);
}

bool restore_had_run(const Store *store, const Tree *tree, Tree **ret) {
        (void)store;
        (void)tree;
        (void)ret;
        return false;
}

static bool some_fail;

int save_tree(const SaveJob *job, Tree *tree) {
        ImageFile *image = model_new(ImageFile, image_file__init);
        _cleanup_(snapshot_freep) Snapshot *snapshot = NULL;
        StepClock clock = step_begin();
        int r;

        tree->has_frozen_at = true;
        tree->frozen_at = clock.realtime;
        r = job->frozen(tree, &snapshot, job->userdata);
        if (r >= 0)
                r = model_set_string(&image->name, "core-1.img");
        if (r >= 0)
                r = model_append(tree->images, tree->n_images, image);
        if (r >= 0 && some_fail && fate_of(tree) == FAILS)
                r = err_say(-EIO, "%s fails", tree->name);
        step_end(job->timeline, "save.verify", tree->name, clock);
        if (r >= 0)
                r = job->ready(tree, job->userdata);
        return r < 0 ? err_pass(r) : 0;
}

/* The tests. */

static void store_begin(Config *config, Store *store) {
        static int n;

        snprintf(config->store, sizeof config->store, "/run/test-flow-threads-%d", n++);
        assert_int_equal(store_open(config, store), 0);
}

static void test_restore(void **state) {
        ErrRecord files[TREES] = {0};
        Restoring x = {.files = files,
                       .store.fd = -1,
                       .stop_fd = -1,
                       .lock = PTHREAD_MUTEX_INITIALIZER,
                       .turns = RESTORE_TURNS_INIT,
                       .change = PTHREAD_COND_INITIALIZER,
                       .timeline = {.lock = PTHREAD_MUTEX_INITIALIZER, .after_jump = true}};
        _cleanup_(ticket_freep) Ticket *t = sample();
        unsigned waiting = 0;

        x.ticket = x.timeline.ticket = t;
        store_begin(&x.config, &x.store);
        for (size_t i = 0; i < TREES; i++) {
                _cleanup_(closep) int fd = store_tree_create(&x.store, t->trees[i]->name);

                assert_true(fd >= 0);
                add_connection(t->trees[i]);
                t->trees[i]->outcome = model_new(Outcome, outcome__init);
                assert_non_null(t->trees[i]->outcome);
        }
        holds_before = fake_holds_set();
        assert_int_equal(restoring_trees(&x), 0);
        for (size_t i = 0; i < TREES; i++) {
                static const Outcome__State states[] = {[WELL] = OUTCOME__STATE__CARRIED,
                                                        [FAILS] = OUTCOME__STATE__FAILED,
                                                        [WAITS] = OUTCOME__STATE__PENDING};

                assert_int_equal(t->trees[i]->outcome->state, states[fate_of(t->trees[i])]);
                waiting += fate_of(t->trees[i]) == WAITS;
        }
        assert_int_equal(fake_holds_set() - holds_before, TREES - waiting);
        assert_int_equal(fake_held, waiting); /* what has not begun stays held */
        assert_true(x.restart_logind);
        store_close(&x.store);
}

static void save(bool fail, bool requested, bool sealed) {
        Candidate own[TREES] = {0};
        Saving s = SAVING_INIT;
        _cleanup_(ticket_freep) Ticket *t = sample(), *back = NULL;
        Request request = REQUEST__INIT;
        int r;

        s.ticket = s.timeline.ticket = t;
        for (size_t i = 0; i < TREES; i++)
                own[i].tree = t->trees[i];
        s.own.items = own;
        s.n_own = TREES;
        s.deadline = now_monotonic() + 60 * USEC_PER_SEC;
        s.request = requested ? &request : NULL;
        store_begin(&s.config, &s.store);
        some_fail = fail;
        holds_before = fake_holds_set();
        r = saving_trees(&s);
        assert_int_equal(r, sealed ? 0 : -ECANCELED);
        assert_int_equal(fake_holds_set() - holds_before, TREES);
        assert_int_equal(s.n_ready + s.n_failed, TREES);
        assert_int_equal(store_ticket(&s.store, &back), sealed ? 0 : 1);
        for (size_t i = 0; i < TREES; i++) {
                assert_int_equal(t->trees[i]->n_images, 1);
                assert_int_equal(t->trees[i]->n_connections, 1);
                if (fail && fate_of(t->trees[i]) == FAILS)
                        assert_int_equal(t->trees[i]->outcome->state, OUTCOME__STATE__LEFT);
                else
                        assert_null(t->trees[i]->outcome);
        }
        store_close(&s.store);
}

static void test_save(void **state) {
        save(false, true, true);
}

static void test_save_without_some(void **state) {
        save(true, false, true); /* somebody else's shutdown */
}

static void test_save_stopped(void **state) {
        save(true, true, false);
}

static void *steps_run(void *userdata) {
        log_debug("the first in this thread");
        for (int i = 0; i < 100; i++) {
                char text[32];

                snprintf(text, sizeof text, "%p %d", (void *)&text, i);
                assert_int_equal(err_say(-EIO, "%s", text), -EIO);
                step_end(userdata, "x", "y", step_begin());
                assert_string_equal(err_text(-EIO), text); /* and no other thread's */
        }
        return NULL;
}

static void test_timeline(void **state) {
        _cleanup_(ticket_freep) Ticket *t = sample();
        Timeline timeline = {.ticket = t, .lock = PTHREAD_MUTEX_INITIALIZER};
        pthread_t threads[4];

        for (size_t i = 0; i < 4; i++)
                assert_int_equal(pthread_create(threads + i, NULL, steps_run, &timeline), 0);
        for (size_t i = 0; i < 4; i++)
                assert_int_equal(pthread_join(threads[i], NULL), 0);
        assert_int_equal(t->n_steps, 400);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                        cmocka_unit_test(test_timeline), /* the first one that logs */
                        cmocka_unit_test(test_restore),           cmocka_unit_test(test_save),
                        cmocka_unit_test(test_save_without_some), cmocka_unit_test(test_save_stopped),
        };

        int r = own_run();

        return r ?: cmocka_run_group_tests(tests, NULL, NULL);
}

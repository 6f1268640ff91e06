/* SPDX-License-Identifier: GPL-2.0-or-later */

/* Whether what is noted to run still does: its number may be another's by now. Needs root for a /run of the
 * test's own. */

#include "base/cleanup.h"
#include "base/err.h"
#include "base/fd.h"
#include "proc/procfs.h"
#include "restore/running.h"
#include "systemd/cgroup.h"
#include "tests/unit/own-run.h"
#include "tests/unit/ticket.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#define PID   4321
#define START 77u
#define SCOPE "/system.slice/carryover-pid-7.scope"

/* The process that has the number now; start 0: none has. */
static uint64_t start;
static const char *cgroup;

int process_start_time(pid_t pid, uint64_t *ret) {
        assert_int_equal(pid, PID);
        *ret = start;
        return start ? 0 : -ESRCH;
}

int cgroup_of(pid_t pid, char **ret) {
        assert_int_equal(pid, PID);
        *ret = strdup(cgroup);
        return *ret ? 0 : -ENOMEM;
}

static void test_still(void **state) {
        const struct {
                uint64_t start;
                const char *cgroup;
                bool runs;
        } cases[] = {
                        {START, SCOPE, true},
                        {START, SCOPE "/below", true},
                        {START + 1, SCOPE, false}, /* its number was taken again */
                        {START, "/system.slice/carryover-pid-70.scope", false},
                        {0, SCOPE, false},
        };
        _cleanup_(ticket_freep) Ticket *ticket = sample_ticket("id");
        Tree *tree = sample_tree(ticket, "pid-7", 7);
        const Config config = {.store = "/run/store"};
        _cleanup_(closep) int images_fd = -1;
        Tree noted = *tree;
        Outcome outcome = OUTCOME__INIT;
        Store store;

        (void)state;
        assert_int_equal(store_open(&config, &store), 0);
        images_fd = store_tree_create(&store, "pid-7");
        outcome.state = OUTCOME__STATE__CARRIED;
        outcome.has_root_pid = true;
        outcome.root_pid = PID;
        noted.outcome = &outcome;
        noted.root_start = START;
        assert_int_equal(store_tree_runs(images_fd, &noted), 0);
        tree->outcome = model_new(Outcome, outcome__init);
        assert_non_null(tree->outcome);
        for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
                _cleanup_(tree_freep) Tree *back = NULL;

                start = cases[i].start;
                cgroup = cases[i].cgroup;
                if (restore_runs(&store, tree) != cases[i].runs ||
                    restore_had_run(&store, tree, &back) == cases[i].runs)
                        fail_msg("case %zu", i);
                if (cases[i].runs) {
                        assert_string_equal(tree->outcome->mode,
                                            "namespace"); /* another number than its own */
                        assert_int_equal(tree->outcome->root_pid, PID);
                }
        }
        store_close(&store);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                        cmocka_unit_test(test_still),
        };

        int r = own_run();

        return r ?: cmocka_run_group_tests(tests, NULL, NULL);
}

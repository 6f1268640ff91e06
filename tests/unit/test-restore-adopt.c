/* SPDX-License-Identifier: GPL-2.0-or-later */

/* A tree that came back in a PID namespace while nobody noted it, because the restore died: found by the
 * next one, when its init is through. Needs root. */

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/err.h"
#include "criu/criu.h"
#include "model/model.h"
#include "restore/init.h"
#include "restore/running.h"
#include "systemd/cgroup.h"
#include "tests/unit/init.h"

#include <fcntl.h>
#include <string.h>

#define SCOPE "/system.slice/carryover-pid-7.scope"

static pid_t member;

int cgroup_of(pid_t pid, char **ret) {
        if (pid != member)
                return -ESRCH;
        *ret = strdup(SCOPE);
        return *ret ? 0 : -ENOMEM;
}

int criu_wait_orphans(const char *criu, uint64_t deadline) {
        (void)criu, (void)deadline;
        return 0;
}

/* Of what this process has open, the init has no more: its answer is given. */
static int close_answer(void) {
        return close(INIT_FD_ANSWER);
}

/* The descriptors up to that of the answer are there, and the pipes of start_init() come behind. */
static void occupy(void) {
        int fd;

        do
                fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
        while (fd >= 0 && fd <= INIT_FD_ANSWER);
        assert_true(fd > INIT_FD_ANSWER);
}

static Tree *tree_of(uint32_t own) {
        Tree *tree = model_new(Tree, tree__init);

        assert_non_null(tree);
        tree->outcome = model_new(Outcome, outcome__init);
        assert_non_null(tree->outcome);
        assert_int_equal(model_set_string(&tree->name, "pid-7"), 0);
        tree->root_pid = own;
        assert_int_equal(model_append(tree->pids, tree->n_pids, own), 0);
        return tree;
}

static int adopt(Tree *tree) {
        const Config config = {.criu = "criu", .criu_usec = 100 * USEC_PER_MSEC};
        const RestoreJob job = {.config = &config};

        return running_adopt(&job, -1, tree);
}

static void test_found(void **state) {
        _cleanup_(tree_freep) Tree *tree = tree_of(2), *other = tree_of(3);
        pid_t init;

        need_root(state);
        occupy();
        init = start_init_after(close_answer, "carryover-init");
        member = child_of(init);
        assert_int_equal(adopt(other), -EALREADY);
        if (adopt(tree) < 0)
                fail_msg("%s", err_text(-EALREADY));
        assert_int_equal(tree->outcome->root_pid, init);
        assert_string_equal(tree->outcome->mode, "namespace");
        assert_int_equal(tree->n_degraded, 1);
}

/* CRIU may not let it run. */
static void test_half_made(void **state) {
        _cleanup_(tree_freep) Tree *tree = tree_of(2);

        need_root(state);
        occupy();
        member = child_of(start_init("carryover-init"));
        assert_int_equal(adopt(tree), -EALREADY);
}

/* Anybody's. */
static void test_not_ours(void **state) {
        _cleanup_(tree_freep) Tree *tree = tree_of(2);

        need_root(state);
        occupy();
        member = child_of(start_init_after(close_answer, "someone-else"));
        assert_int_equal(adopt(tree), -EALREADY);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                        cmocka_unit_test_teardown(test_found, kill_inits),
                        cmocka_unit_test_teardown(test_half_made, kill_inits),
                        cmocka_unit_test_teardown(test_not_ours, kill_inits),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}

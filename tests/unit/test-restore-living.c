/* SPDX-License-Identifier: GPL-2.0-or-later */

/* Which process is one of a tree that may run already. */

#include "restore/living.h"

#include "base/cleanup.h"
#include "base/fd.h"
#include "restore/restore.h"
#include "tests/unit/own-run.h"

#include <fcntl.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#define SCOPE "/user.slice/user-0.slice/session-4.scope"

static Tree *sample(void) {
        Tree *tree = model_new(Tree, tree__init);
        Session *session = model_new(Session, session__init);

        assert_true(tree && session);
        assert_int_equal(model_set_string(&tree->name, "session-4") | model_set_string(&session->id, "4") |
                                         model_set_string(&session->scope, "session-4.scope"),
                         0);
        tree->session = session;
        assert_int_equal(model_append(tree->pids, tree->n_pids, 20310u), 0);
        assert_int_equal(model_append(tree->pids, tree->n_pids, 20317u), 0);
        return tree;
}

static void test_living(void **state) {
        _cleanup_(tree_freep) Tree *tree = sample();
        static const char host[] = "Name:\tbash\nState:\tS (sleeping)\nNSpid:\t20317\nNSsid:\t1\n",
                          inside[] = "Name:\tbash\nState:\tS (sleeping)\nNSpid:\t811\t20317\nNSsid:\t1\t1\n",
                          init[] = "Name:\tcarryover-init\nState:\tS (sleeping)\nNSpid:\t810\t1\n",
                          taken[] = "Name:\tbash\nState:\tS (sleeping)\nNSpid:\t20317\t5\n",
                          other[] = "Name:\tbash\nState:\tS (sleeping)\nNSpid:\t20400\n",
                          dead[] = "Name:\tbash\nState:\tZ (zombie)\nNSpid:\t20317\n";

        assert_true(living_is_of(tree, SCOPE, host));
        assert_true(living_is_of(tree, SCOPE, inside));
        assert_true(living_is_of(tree, "/user.slice/user-0.slice/carryover-session-4.scope", host));
        assert_false(living_is_of(tree, SCOPE, init));
        assert_false(living_is_of(tree, SCOPE, taken)); /* what counts is the number that it knows */
        assert_false(living_is_of(tree, SCOPE, other)); /* begun in the same session since */
        assert_false(living_is_of(tree, SCOPE, dead));
        assert_false(living_is_of(tree, SCOPE, "Name:\tbash\n"));
        assert_false(living_is_of(tree, "/user.slice/user-0.slice/session-5.scope", host));
}

/* In the child, once it is in the scope: number 2 of a PID namespace of its own, which the host knows by
 * another number. All of it ends when nobody can write to `go` any more. */
static void live_inside(int go, int ready) {
        char byte;
        pid_t pid;

        if (read(go, &byte, 1) != 1 || unshare(CLONE_NEWPID) < 0)
                _exit(1);
        pid = fork();
        if (pid == 0) { /* its init */
                pid = fork();
                if (pid == 0)
                        for (;;)
                                pause();
                if (pid == 2 && write(ready, "", 1) == 1)
                        (void)!read(go, &byte, 1);
                _exit(0);
        }
        while (waitpid(pid, NULL, 0) < 0 && errno == EINTR)
                ;
        _exit(0);
}

static bool join(const char *cgroup, pid_t pid) {
        _cleanup_(closep) int fd = -1;
        char path[128];

        snprintf(path, sizeof path, "%s/cgroup.procs", cgroup);
        fd = open(path, O_WRONLY | O_CLOEXEC);
        return fd >= 0 && dprintf(fd, "%d", (int)pid) > 0;
}

/* A mount of the machine's cgroups, where a scope is made. */
#define CGROUPS   "/run/test-cgroups"
#define OWN_SCOPE CGROUPS "/session-test-living.scope"

static void test_process_inside(void **state) {
        _cleanup_(tree_freep) Tree *tree = sample();
        pid_t child, found = 0, other;
        int go[2], ready[2];
        char byte;

        if (mkdir(CGROUPS, 0700) < 0 || mount("cgroup2", CGROUPS, "cgroup2", 0, NULL) < 0 ||
            (mkdir(OWN_SCOPE, 0755) < 0 && errno != EEXIST))
                skip();
        assert_int_equal(model_set_string(&tree->session->scope, "session-test-living.scope"), 0);
        tree->n_pids = 1;
        tree->pids[0] = 2;
        assert_int_equal(restore_living(tree, &found), 1);
        assert_int_equal(pipe(go) | pipe(ready), 0);
        child = fork();
        if (child == 0) {
                close(go[1]);
                live_inside(go[0], ready[1]);
        }
        close(ready[1]);
        assert_true(join(OWN_SCOPE, child));
        assert_int_equal(write(go[1], "", 1), 1);
        assert_int_equal(read(ready[0], &byte, 1), 1);
        assert_int_equal(restore_living(tree, &found), 0);
        assert_true(found > 2 && found != child);
        tree->pids[0] = 3;
        assert_int_equal(restore_living(tree, &other), 1);

        close(go[1]);
        assert_int_equal(waitpid(child, NULL, 0), child);
        assert_int_equal(rmdir(OWN_SCOPE), 0);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                        cmocka_unit_test(test_living),
                        cmocka_unit_test(test_process_inside),
        };

        int r = own_run();

        return r ?: cmocka_run_group_tests(tests, NULL, NULL);
}

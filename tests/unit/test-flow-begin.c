/* SPDX-License-Identifier: GPL-2.0-or-later */

/*
 * What a save and a restore begin with: that nobody else is at it, and the configuration, of which a hold or
 * a ticket must not depend. The machine is tests/fakes/. Needs root: /run and /etc are replaced by a tmpfs
 * in a mount namespace of the test's own.
 */

#include "base/cleanup.h"
#include "base/err.h"
#include "base/fd.h"
#include "early/early.h"
#include "flow/flow.h"
#include "model/model.h"
#include "sys/config.h"
#include "sys/store.h"
#include "tests/fakes/outside.h"

#include <fcntl.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

static void configure(const char *text) {
        _cleanup_(closep) int dir = open_dirs("/etc/carryover", 0755);

        assert_true(dir >= 0);
        assert_int_equal(file_replace(dir, "carryover.conf", text, strlen(text)), 0);
}

static void seal(const char *path) {
        _cleanup_(ticket_freep) Ticket *t = model_new(Ticket, ticket__init);
        Tree *tree = model_new(Tree, tree__init);
        Config config = {0};
        Store store;

        assert_non_null(t);
        assert_non_null(tree);
        tree->root_pid = 1234;
        assert_int_equal(model_set_string(&tree->name, "session-4"), 0);
        assert_int_equal(model_set_string(&tree->target, "session:4"), 0);
        assert_int_equal(model_set_string(&tree->comm, "sshd"), 0);
        assert_int_equal(model_append(t->trees, t->n_trees, tree), 0);
        assert_int_equal(model_set_string(&t->id, "aa"), 0);
        assert_int_equal(model_set_string(&t->version, "1"), 0);
        assert_int_equal(model_set_string(&t->old_boot, "b"), 0);
        assert_int_equal(model_set_string(&t->old_kernel, "k"), 0);
        assert_int_equal(model_set_string(&t->machine, "m"), 0);
        assert_int_equal(model_set_string(&t->action, "kexec"), 0);
        assert_int_equal(model_set_string(&t->hold_backend, "auto"), 0);
        snprintf(config.store, sizeof config.store, "%s", path);
        assert_int_equal(store_open(&config, &store), 0);
        assert_int_equal(store_seal(&store, t, NULL), 0);
        store_close(&store);
}

static void say_nothing(int priority, const char *sentence) {
        (void)priority;
        (void)sentence;
}

static int set_up(void **state) {
        fake_hold_is_there = true;
        fake_holds_cleared = fake_bus_opened = 0;
        return 0;
}

/* The line that says where the ticket is can be read, another one cannot. */
static void test_ticket_is_found(void **state) {
        configure("[Carryover]\nHold=what\nStore=/run/elsewhere\n");
        seal("/run/elsewhere");
        assert_int_equal(flow_restore(), 1); /* there is no systemd in here */
        assert_int_equal(access("/run/elsewhere/ticket", F_OK), -1);
        assert_int_equal(access("/run/elsewhere/report", F_OK), 0);
        assert_int_equal(fake_bus_opened, 1);
}

/* Nobody knows where it is: what is held stays held. */
static void test_hold_stays(void **state) {
        Config config;

        configure("[Carryover]\nStore=elsewhere\n");
        assert_true(config_load_anyway("", &config) < 0);
        snprintf(config.store, sizeof config.store, "/run/none");
        (void)early_service(&config, say_nothing);
        assert_int_equal(fake_holds_cleared, 0);
        (void)flow_restore();
        assert_int_equal(fake_holds_cleared, 0);
}

/* It is where it should be, and there is none: the hold is one that a crash has left. */
static void test_hold_goes(void **state) {
        Config config;

        configure("[Carryover]\nStore=/run/none\n");
        assert_int_equal(config_load_anyway("", &config), 0);
        (void)early_service(&config, say_nothing);
        assert_int_equal(fake_holds_cleared, 1);
        assert_int_equal(flow_restore(), 0);
        assert_int_equal(fake_holds_cleared, 2);
}

/* Two saves at once: the second touches nothing, and what puts dead saves in order leaves it alone. */
static void test_save_is_one(void **state) {
        int ready[2], status;
        char byte;
        pid_t pid;

        configure("[Carryover]\nStore=/run/none\n");
        assert_int_equal(pipe(ready), 0);
        pid = fork();
        if (pid == 0) {
                (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
                if (run_lock("save") >= 0)
                        (void)!write(ready[1], "x", 1);
                for (;;)
                        pause();
        }
        assert_int_equal(read(ready[0], &byte, 1), 1);
        assert_int_equal(flow_save(), 1);
        assert_int_equal(flow_save_aftermath(), 1);
        assert_int_equal(fake_bus_opened, 0);
        assert_int_equal(kill(pid, SIGKILL), 0);
        assert_int_equal(waitpid(pid, &status, 0), pid);
        assert_int_equal(flow_save(), 1); /* it asks systemd now */
        assert_int_equal(fake_bus_opened, 1);
        assert_int_equal(flow_save_aftermath(), 0);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                        cmocka_unit_test_setup(test_ticket_is_found, set_up),
                        cmocka_unit_test_setup(test_hold_stays, set_up),
                        cmocka_unit_test_setup(test_hold_goes, set_up),
                        cmocka_unit_test_setup(test_save_is_one, set_up),
        };

        if (geteuid() != 0) {
                printf("skipped: needs root for a mount namespace\n");
                return 77;
        }
        if (unshare(CLONE_NEWNS) < 0 || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0 ||
            mount("tmpfs", "/run", "tmpfs", 0, "mode=0755") < 0 ||
            mount("tmpfs", "/etc", "tmpfs", 0, "mode=0755") < 0 ||
            mount("tmpfs", "/var/lib", "tmpfs", 0, "mode=0755") < 0) {
                perror("cannot make a /run of the test's own");
                return 1;
        }
        return cmocka_run_group_tests(tests, NULL, NULL);
}

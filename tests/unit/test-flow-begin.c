/* SPDX-License-Identifier: GPL-2.0-or-later */

/*
 * What a save and a restore begin with: that nobody else is at it, and the configuration, of which a hold or
 * a ticket must not depend; and what a stopped save ends with. The machine is tests/fakes/. Needs root: /run
 * and /etc are replaced by a tmpfs in a mount namespace of the test's own.
 */

#include "base/cleanup.h"
#include "base/err.h"
#include "base/fd.h"
#include "early/early.h"
#include "files/config.h"
#include "flow/flow.h"
#include "flow/saving.h"
#include "model/model.h"
#include "store/store.h"
#include "tests/fakes/outside.h"
#include "tests/unit/own-run.h"
#include "tests/unit/ticket.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

static void configure(const char *text) {
        _cleanup_(closep) int dir = open_dirs("/etc/carryover", 0755);

        assert_true(dir >= 0);
        assert_int_equal(file_replace(dir, "carryover.conf", text, strlen(text)), 0);
}

static Ticket *sample(void) {
        Ticket *t = sample_ticket("aa");

        (void)sample_tree(t, "session-4", 1234);
        return t;
}

static void seal(const char *path) {
        _cleanup_(ticket_freep) Ticket *t = sample();
        Config config = {0};
        Store store;

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

/* A file that has lost its name, and what a dump has made beside it. */
static void lose_name(Tree *tree) {
        LostName *lost = model_new(LostName, lost_name__init);
        struct stat st;

        tree->traces = model_new(Traces, traces__init);
        assert_true(lost && tree->traces);
        assert_int_equal(mkdir("/run/user", 0700), 0);
        assert_int_equal(mknod("/run/user/other-name", S_IFREG | 0600, 0), 0);
        assert_int_equal(link("/run/user/other-name", "/run/user/link_remap.7"), 0);
        assert_int_equal(stat("/run/user/other-name", &st), 0);
        lost->inode = st.st_ino;
        assert_int_equal(model_set_string(&lost->path, "/run/user/lost"), 0);
        assert_int_equal(model_append(tree->traces->lost, tree->traces->n_lost, lost), 0);
}

/* The first event of that name, from the begin; answer: how many were before it. */
static unsigned event_of(int fd, const char *name) {
        char buffer[8192] __attribute__((aligned(__alignof__(struct inotify_event))));
        ssize_t n = read(fd, buffer, sizeof buffer);
        unsigned before = 0;

        for (char *p = buffer; p < buffer + n; before++) {
                const struct inotify_event *e = (struct inotify_event *)p;

                if (e->len > 0 && strcmp(e->name, name) == 0)
                        return before;
                p += sizeof *e + e->len;
        }
        fail_msg("%s: no event", name);
        return 0;
}

static void watch(int fds[static 3]) {
        for (size_t i = 0; i < 3; i++) {
                fds[i] = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
                assert_true(inotify_add_watch(fds[i], "/run/stopped", IN_MOVED_TO | IN_DELETE) >= 0);
                assert_true(inotify_add_watch(fds[i], "/run/user", IN_DELETE) >= 0);
        }
}

/* Others wait for the report; nobody does for what is in a user's directories, but for the note. */
static void test_stopped_save_sweeps_late(void **state) {
        _cleanup_(saving_done) Saving s = SAVING_INIT;
        unsigned report, link, note;
        int fds[3];

        snprintf(s.config.store, sizeof s.config.store, "/run/stopped");
        assert_int_equal(store_open(&s.config, &s.store), 0);
        s.ticket = sample();
        s.n_own = s.ticket->n_trees;
        lose_name(s.ticket->trees[0]);
        assert_int_equal(store_saving_begin(&s.store, s.ticket), 0);
        watch(fds);
        assert_int_equal(saving_stop(&s, err_say(-ECANCELED, "no")), 1);
        report = event_of(fds[0], "report");
        link = event_of(fds[1], "link_remap.7");
        note = event_of(fds[2], "saving");
        assert_true(report < link);
        assert_true(link < note);
        for (size_t i = 0; i < ELEMENTS(fds); i++)
                fd_close(fds[i]);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                        cmocka_unit_test_setup(test_ticket_is_found, set_up),
                        cmocka_unit_test_setup(test_hold_stays, set_up),
                        cmocka_unit_test_setup(test_hold_goes, set_up),
                        cmocka_unit_test_setup(test_save_is_one, set_up),
                        cmocka_unit_test_setup(test_stopped_save_sweeps_late, set_up),
        };

        int r = own_run();

        if (r == 0 && (mount("tmpfs", "/etc", "tmpfs", 0, "mode=0755") < 0 ||
                       mount("tmpfs", "/var/lib", "tmpfs", 0, "mode=0755") < 0)) {
                perror("cannot make an /etc of the test's own");
                return 1;
        }
        return r ?: cmocka_run_group_tests(tests, NULL, NULL);
}

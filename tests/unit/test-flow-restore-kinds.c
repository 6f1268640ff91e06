/* SPDX-License-Identifier: GPL-2.0-or-later */

/*
 * Restores that are not the plain one: told to stop, with encrypted images, in a namespace, found running by
 * the next start, beside another one, without their network. Needs root, as test-flow-restore.c.
 */

#include "model/box.h"
#include "restore/namespace.h"
#include "tests/unit/sealed.h"
#include "tty/say.h"

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>

#include <cmocka.h>

/* As the host sees the init of a namespace. */
#define INNER 4000011

/* The tree lives behind another number. */
int namespace_restore(const CriuJob *job, const Tree *tree, pid_t *ret_pid) {
        int r = fake_call("namespace_restore", "%s", tree->name);

        (void)job;
        if (r < 0)
                return r;
        fake_tree(INNER)->life = FAKE_RUNS;
        fake_tree(INNER)->returned++;
        *ret_pid = INNER;
        return 0;
}

static int give_up(void *userdata) {
        (void)userdata;
        (void)setenv("MONITOR_SERVICE_RESULT", "core-dump", 1);
        return flow_give_up();
}

/* Changes the sealed ticket. */
static void amend_first(size_t n, void (*change)(Tree *tree)) {
        _cleanup_(ticket_freep) Ticket *ticket = NULL;
        _cleanup_(store_close) Store store = machine_store();

        assert_int_equal(store_ticket(&store, &ticket), 0);
        for (size_t i = 0; i < n; i++)
                change(ticket->trees[i]);
        assert_int_equal(store_amend(&store, ticket), 0);
        durable_watch("/var/lib");
        fake_forget_events();
}

static void amend(void (*change)(Tree *tree)) {
        amend_first(1, change);
}

static Outcome__State state_of(pid_t pid) {
        _cleanup_(ticket_freep) Ticket *report = sealed_report();

        return outcome_of(report, pid);
}

static bool has_note(pid_t pid, const char *what) {
        _cleanup_(ticket_freep) Ticket *report = sealed_report();
        const Tree *tree = ticket_find(report, fake_tree(pid)->name);

        for (size_t i = 0; i < tree->n_degraded; i++)
                if (strcmp(tree->degraded[i]->what, what) == 0)
                        return true;
        return false;
}

/* Another shutdown: the one that still waits for its network is sealed again, and stays held. */
static void test_given_back(void **state) {
        sealed_two();
        fake_fail("network_wait_patiently pid-4000001", 1, -ECANCELED);
        assert_int_equal(fake_run(run_restore, NULL), 1);
        assert_true(in_store("ticket"));
        assert_false(in_store("ticket.claimed"));
        assert_true(in_store("report"));
        assert_true(fake->hold && fake->guard_left);
        assert_int_equal(fake->n_held, 1);
        assert_int_equal(access("/run/carryover/hold", F_OK), 0); /* for the last hook */
        assert_int_equal(fake_count("store_key_forget"), 0);
        assert_int_equal(fake_count("nudge_dismiss"), 0);
        assert_true(is_before("store_give_back", "store_report_write"));
        assert_true(in_store("save/pid-4000001/core-1.img"));
        assert_int_equal(state_of(FIRST_PID), OUTCOME__STATE__PENDING);
        is_on_disk();
        fake_heal();
        sealed_reboot();
        assert_int_equal(fake_run(run_restore, NULL), 0);
        assert_int_equal(state_of(FIRST_PID), OUTCOME__STATE__CARRIED);
        assert_int_equal(fake_tree(FIRST_PID)->returned, 1);
        assert_int_equal(fake_tree(SECOND_PID)->returned, 1);
        assert_false(fake->hold);
}

/* It cannot be sealed again: failed, with its images, and its peer is told. */
static void test_cannot_be_given_back(void **state) {
        _cleanup_(ticket_freep) Ticket *report = NULL;

        sealed_two();
        fake_fail("network_wait_patiently pid-4000001", 1, -ECANCELED);
        fake_fail("store_give_back", 1, -EIO);
        assert_int_equal(fake_run(run_restore, NULL), 1);
        assert_true(fake_struck());
        assert_false(in_store("ticket"));
        assert_false(fake->hold);
        report = sealed_report();
        assert_int_equal(outcome_of(report, FIRST_PID), OUTCOME__STATE__FAILED);
        assert_true(images_are_kept(report, FIRST_PID));
        assert_int_equal(fake_count("nudge_dismiss 1"), 1);
}

/* It dies between giving back and the report: sealed and claimed at once, and each tree comes back once. */
static void test_dies_over_giving_back(void **state) {
        static const char *const points[] = {"store_give_back",         "fsync .ticket.new",
                                             "renameat ticket",         "hold_guard_leave",
                                             "store_report_write",      "renameat report",
                                             "unlinkat ticket.claimed", "bus_shutdown_action"};

        for (size_t i = 0; i < ELEMENTS(points); i++)
                for (int rebooted = 0; rebooted < 2; rebooted++) {
                        sealed_two();
                        fake_fail("network_wait_patiently pid-4000001", 1, -ECANCELED);
                        fake_die(points[i], 1);
                        assert_int_equal(fake_run(run_restore, NULL), FAKE_DEAD);
                        fake_heal();
                        if (rebooted)
                                sealed_reboot();
                        (void)fake_run(run_restore, NULL);
                        assert_int_equal(fake_tree(FIRST_PID)->returned, 1);
                        assert_int_equal(fake_tree(SECOND_PID)->returned, 1);
                        assert_int_equal(state_of(FIRST_PID), OUTCOME__STATE__CARRIED);
                        assert_false(in_store("ticket") || in_store("ticket.claimed"));
                        assert_false(fake->hold);
                }
}

static void encrypt_image(Tree *tree, ImageFile *image, int home, const uint8_t *key) {
        _cleanup_(closep) int from = openat(home, image->name, O_RDONLY | O_CLOEXEC), to = -1;
        uint8_t digest[32];

        to = openat(home, "box", O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
        assert_true(from >= 0 && to >= 0);
        assert_int_equal(box_seal(key, image->name, from, to), 0);
        assert_int_equal(renameat(home, "box", home, image->name), 0);
        assert_true(lseek(to, 0, SEEK_SET) == 0);
        assert_int_equal(digest_image(to, sample_key, digest, &image->size), 0);
        assert_int_equal(model_set_bytes(&image->digest, digest, sizeof digest), 0);
}

static const uint8_t key[BOX_KEY] = {3};

static void encrypt_all(void) {
        _cleanup_(ticket_freep) Ticket *ticket = NULL;
        _cleanup_(store_close) Store store = machine_store();

        assert_int_equal(store_ticket(&store, &ticket), 0);
        for (size_t i = 0; i < ticket->n_trees; i++) {
                Tree *tree = ticket->trees[i];
                _cleanup_(closep) int home = store_tree_open(&store, tree->name);

                for (size_t j = 0; j < tree->n_images; j++)
                        encrypt_image(tree, tree->images[j], home, key);
        }
        ticket->has_encrypted = ticket->encrypted = true;
        assert_int_equal(store_amend(&store, ticket), 0);
        sealed_reboot();
}

static void test_encrypted(void **state) {
        sealed_two();
        encrypt_all();
        fake->has_key = true;
        memcpy(fake->key, key, sizeof key);
        assert_int_equal(fake_run(run_restore, NULL), 0);
        assert_int_equal(fake_tree(FIRST_PID)->returned, 1);
        assert_int_equal(fake_tree(SECOND_PID)->returned, 1);
        assert_false(fake->has_key);
}

/* No other key opens them, and nothing of it is used. */
static void test_wrong_key(void **state) {
        sealed_two();
        encrypt_all();
        fake->has_key = true;
        assert_int_equal(fake_run(run_restore, NULL), 1);
        assert_int_equal(fake_count("criu_restore"), 0);
        assert_int_equal(state_of(FIRST_PID), OUTCOME__STATE__FAILED);
}

/* Without a kexec there is no key: said, the peers are told, and what nobody can open is removed. */
static void test_key_is_lost(void **state) {
        _cleanup_(ticket_freep) Ticket *report = NULL;

        sealed_two();
        encrypt_all();
        assert_int_equal(fake_run(run_restore, NULL), 1);
        report = sealed_report();
        assert_int_equal(outcome_of(report, FIRST_PID), OUTCOME__STATE__FAILED);
        assert_int_equal(outcome_of(report, SECOND_PID), OUTCOME__STATE__FAILED);
        assert_null(report->trees[0]->outcome->images);
        assert_non_null(strstr(report->trees[0]->outcome->reason, "key"));
        assert_int_equal(fake_count("criu_restore"), 0);
        assert_false(in_store("save/pid-4000001/core-1.img"));
        assert_false(in_store("failed/" SEALED_ID "/pid-4000001/core-1.img"));
        assert_false(fake->hold);
}

static void add_inner(void) {
        FakeTree *inner = fake_add_tree(INNER);

        strcpy(inner->name, "pid-4000001"); /* by which its scope is called */
        inner->life = FAKE_DEAD;
}

static void take_number(Tree *tree) {
        assert_int_equal(model_append(tree->ids, tree->n_ids, (uint32_t)getpid()), 0);
}

/* Its number is taken: a namespace, if that is allowed. */
static void test_number_is_taken(void **state) {
        sealed_two();
        add_inner();
        amend(take_number);
        assert_int_equal(fake_run(run_restore, NULL), 0);
        assert_int_equal(fake_count("namespace_restore"), 1);
        assert_int_equal(fake_count("criu_restore pid-4000001"), 0);
        assert_int_equal(state_of(FIRST_PID), OUTCOME__STATE__CARRIED);
        assert_true(has_note(FIRST_PID, "pid-namespace"));
        assert_true(is_before("namespace_restore", "store_tree_runs pid-4000001"));

        sealed_two();
        add_inner();
        amend(take_number);
        configure("PidMode=host\n");
        assert_int_equal(fake_run(run_restore, NULL), 1);
        assert_int_equal(fake_count("namespace_restore"), 0);
        assert_int_equal(state_of(FIRST_PID), OUTCOME__STATE__FAILED);
        assert_int_equal(state_of(SECOND_PID), OUTCOME__STATE__CARRIED);
}

/* In a namespace, and the restore dies behind the note that it runs: the next start finds it. */
static void test_found_in_namespace(void **state) {
        sealed_two();
        add_inner();
        amend(take_number);
        fake_fail("network_wait_patiently pid-4000002", 1, -EIO);
        fake_die("fault_point restore:noted", 1);
        assert_int_equal(fake_run(run_restore, NULL), FAKE_DEAD);
        fake_heal();
        (void)fake_run(run_restore, NULL);
        assert_int_equal(fake_count("namespace_restore"), 1);
        assert_int_equal(fake_tree(INNER)->returned, 1);
        assert_int_equal(state_of(FIRST_PID), OUTCOME__STATE__CARRIED);
        assert_true(has_note(FIRST_PID, "pid-namespace"));
}

/* What runs is carried, also for who gives up. */
static void test_found_by_who_gives_up(void **state) {
        sealed_two();
        fake_fail("network_wait_patiently pid-4000002", 1, -EIO);
        fake_die("fault_point restore:noted", 1);
        assert_int_equal(fake_run(run_restore, NULL), FAKE_DEAD);
        fake_heal();
        (void)fake_run(give_up, NULL);
        assert_int_equal(state_of(FIRST_PID), OUTCOME__STATE__CARRIED);
        assert_int_equal(state_of(SECOND_PID), OUTCOME__STATE__FAILED);
        assert_int_equal(fake_tree(FIRST_PID)->returned, 1);
        assert_false(fake->hold);
}

/* Its network does not come, and it may do without its connections. */
static void test_connections_closed(void **state) {
        sealed_two();
        configure("TcpClose=yes\n");
        fake_fail("network_wait_patiently pid-4000001", 1, -ETIMEDOUT);
        assert_int_equal(fake_run(run_restore, NULL), 0);
        assert_int_equal(state_of(FIRST_PID), OUTCOME__STATE__CARRIED);
        assert_true(has_note(FIRST_PID, "connections-closed"));

        sealed_two();
        configure("TcpClose=yes\n");
        fake_fail("network_wait_patiently pid-4000001", 1, -ETIMEDOUT);
        fake_fail("network_wait pid-4000001", 1, -ETIMEDOUT); /* what it listens on neither */
        assert_int_equal(fake_run(run_restore, NULL), 1);
        assert_int_equal(state_of(FIRST_PID), OUTCOME__STATE__FAILED);
}

static void add_needs(Tree *tree) {
        Mount *mount = model_new(Mount, mount__init);

        assert_int_equal(model_set_string(&mount->source, "/dev/vda") |
                                         model_set_string(&mount->type, "ext4") |
                                         model_set_string(&mount->root, "/") |
                                         model_set_string(&mount->point, "/srv"),
                         0);
        assert_int_equal(model_append(tree->mounts, tree->n_mounts, mount), 0);
        assert_int_equal(model_append(tree->profiles, tree->n_profiles, strdup("profile")), 0);
}

/* Addresses, mounts and profiles, one after the other, before it begins. */
static void test_needs(void **state) {
        static const char *const needs[] = {"mounts_wait", "apparmor_wait"};

        for (size_t i = 0; i < ELEMENTS(needs); i++) {
                sealed_two();
                amend(add_needs);
                fake_fail(needs[i], 1, -ETIMEDOUT);
                assert_int_equal(fake_run(run_restore, NULL), 1);
                assert_true(fake_struck());
                assert_int_equal(fake_count("criu_restore"), 1);
                assert_int_equal(state_of(FIRST_PID), OUTCOME__STATE__FAILED);
                assert_int_equal(state_of(SECOND_PID), OUTCOME__STATE__CARRIED);
        }
        sealed_two();
        amend(add_needs);
        assert_int_equal(fake_run(run_restore, NULL), 0);
        assert_true(is_before("network_wait_patiently pid-4000001", "mounts_wait pid-4000001"));
        assert_true(is_before("mounts_wait pid-4000001", "apparmor_wait pid-4000001"));
        assert_true(is_before("apparmor_wait pid-4000001", "criu_restore pid-4000001"));
}

static void add_garbage(Tree *tree) {
        _cleanup_(store_close) Store store = machine_store();

        add_image(&store, tree, STORE_VOLATILE);
}

/* Its files in memory cannot be put back: it does not begin, and the other one does. */
static void test_files_fail(void **state) {
        sealed_two();
        amend(add_garbage);
        assert_int_equal(fake_run(run_restore, NULL), 1);
        assert_int_equal(fake_count("criu_restore pid-4000001"), 0);
        assert_int_equal(state_of(FIRST_PID), OUTCOME__STATE__FAILED);
        assert_int_equal(state_of(SECOND_PID), OUTCOME__STATE__CARRIED);
}

static void add_session(Tree *tree) {
        Session *s = model_new(Session, session__init);

        s->uid = tree->uid;
        assert_int_equal(model_set_string(&s->id, "4") | model_set_string(&s->user, "joe") |
                                         model_set_string(&s->scope, "session-4.scope") |
                                         model_set_string(&s->state_file, "UID=0\nUSER=joe\n"),
                         0);
        tree->session = s;
}

/* logind is told, by its own files, and started anew; the old scope is still there where it is refused. */
static void test_session(void **state) {
        sealed_two();
        amend(add_session);
        fake_fail("bus_start_scope session-4.scope", 1, -EEXIST);
        assert_int_equal(fake_run(run_restore, NULL), 0);
        assert_int_equal(fake_count("bus_start_scope carryover-session-4.scope"), 1);
        assert_int_equal(access("/run/systemd/sessions/4", F_OK), 0);
        assert_int_equal(access("/run/systemd/users/0", F_OK), 0);
        assert_int_equal(fake_count("bus_try_restart_unit systemd-logind.service"), 1);
        assert_int_equal(fake_count("login_numbers_lift 4"), 1);
        assert_true(is_before("login_numbers_lift 4", "criu_restore"));
}

/* Two trees of one session, in one scope: it is there for both, or for none of them. */
static void test_shared_scope(void **state) {
        sealed_two();
        amend_first(2, add_session);
        assert_int_equal(fake_run(run_restore, NULL), 0);
        assert_int_equal(fake_count("bus_start_scope session-4.scope"), 1);
        assert_int_equal(fake_count("bus_start_unit_now system.slice"), 1);
        assert_int_equal(fake_count("cgroup_open_procs"), 1);
        assert_int_equal(state_of(FIRST_PID), OUTCOME__STATE__CARRIED);
        assert_int_equal(state_of(SECOND_PID), OUTCOME__STATE__CARRIED);

        sealed_two();
        amend_first(2, add_session);
        fake_fail("bus_start_scope session-4.scope", 1, -EEXIST);
        fake_fail("bus_start_scope carryover-session-4.scope", 1, -EIO);
        assert_int_equal(fake_run(run_restore, NULL), 1);
        assert_int_equal(state_of(FIRST_PID), OUTCOME__STATE__FAILED);
        assert_int_equal(state_of(SECOND_PID), OUTCOME__STATE__FAILED);
        assert_int_equal(fake_count("criu_restore"), 0);
}

static void other_slice(Tree *tree) {
        assert_int_equal(model_set_string(&tree->slice, "user-7.slice"), 0);
}

/* Of two scopes the slice that both lie in is asked for once. */
static void test_shared_slice(void **state) {
        sealed_two();
        assert_int_equal(fake_run(run_restore, NULL), 0);
        assert_int_equal(fake_count("bus_start_scope"), 2);
        assert_int_equal(fake_count("bus_start_unit_now system.slice"), 1);

        sealed_two();
        amend(other_slice);
        assert_int_equal(fake_run(run_restore, NULL), 0);
        assert_int_equal(fake_count("bus_start_unit_now user-7.slice"), 1);
        assert_int_equal(fake_count("bus_start_unit_now system.slice"), 1);
}

size_t terminals_say(const TerminalLine *lines, size_t n) {
        (void)fake_call("terminals_say", "%s%s", n == 1 ? lines->tty : "", lines->text);
        return n;
}

static void add_terminal(Tree *tree) {
        add_session(tree);
        assert_int_equal(model_set_string(&tree->session->tty, "pts/3"), 0);
}

/* Where it runs again, its user reads that; of a tree without a session, or one that failed, nobody does. */
static void test_told(void **state) {
        (void)state;
        for (int fails = 0; fails < 2; fails++) {
                sealed_two();
                amend(add_terminal);
                if (fails)
                        fake_fail("criu_restore pid-4000001", 1, -EIO);
                assert_int_equal(fake_run(run_restore, NULL), fails);
                assert_int_equal(fake_count("terminals_say"), !fails);
        }
        sealed_two();
        amend(add_terminal);
        assert_int_equal(fake_run(run_restore, NULL), 0);
        assert_true(is_before("criu_restore pid-4000001",
                              "terminals_say pts/3\r\n[carryover] back in Linux " FAKE_NEXT));
}

/* Of this boot, the request goes with the report; but that of a shutdown under way is the save's. */
static void test_request(void **state) {
        for (int down = 0; down < 2; down++) {
                Request request = REQUEST__INIT;

                sealed_two();
                request.action = (char *)"kexec";
                assert_int_equal(run_request_write(&request), 0);
                snprintf(fake->shutdown, sizeof fake->shutdown, "%s", down ? "kexec" : "");
                assert_int_equal(fake_run(run_restore, NULL), 0);
                assert_int_equal(access(RUN_REQUEST, F_OK) >= 0, down);
        }
}

/* Who has the lock, and lets go when systemd is told that somebody waits for it. */
static pid_t start_other(int notify) {
        int ready[2];
        char byte, text[128];
        pid_t pid;

        assert_int_equal(pipe(ready), 0);
        pid = fork();
        if (pid == 0) {
                (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
                if (run_lock("restore") >= 0)
                        (void)!write(ready[1], "", 1);
                while (recv(notify, text, sizeof text - 1, 0) > 0)
                        if (strncmp(text, "EXTEND_TIMEOUT_USEC=900000000", 29) == 0)
                                _exit(0);
                _exit(1);
        }
        assert_int_equal(read(ready[0], &byte, 1), 1);
        close(ready[0]);
        close(ready[1]);
        return pid;
}

/* One restore at a time. The other has done what there was to do, or has died: then this one does. */
static void test_waits_for_another(void **state) {
        struct sockaddr_un sa = {.sun_family = AF_UNIX, .sun_path = "/run/notify"};
        _cleanup_(closep) int notify = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
        int status;
        pid_t pid;

        sealed_two();
        assert_int_equal(bind(notify, (struct sockaddr *)&sa, sizeof sa), 0);
        assert_int_equal(setenv("NOTIFY_SOCKET", sa.sun_path, 1), 0);
        pid = start_other(notify);
        assert_int_equal(fake_run(run_restore, NULL), 0);
        assert_int_equal(waitpid(pid, &status, 0), pid);
        assert_int_equal(status, 0);
        assert_int_equal(fake_tree(FIRST_PID)->returned, 1);
        (void)unsetenv("NOTIFY_SOCKET");
}

int main(void) {
        const struct CMUnitTest tests[] = {
                        cmocka_unit_test(test_given_back),
                        cmocka_unit_test(test_cannot_be_given_back),
                        cmocka_unit_test(test_dies_over_giving_back),
                        cmocka_unit_test(test_encrypted),
                        cmocka_unit_test(test_wrong_key),
                        cmocka_unit_test(test_key_is_lost),
                        cmocka_unit_test(test_number_is_taken),
                        cmocka_unit_test(test_found_in_namespace),
                        cmocka_unit_test(test_found_by_who_gives_up),
                        cmocka_unit_test(test_connections_closed),
                        cmocka_unit_test(test_needs),
                        cmocka_unit_test(test_files_fail),
                        cmocka_unit_test(test_session),
                        cmocka_unit_test(test_shared_scope),
                        cmocka_unit_test(test_shared_slice),
                        cmocka_unit_test(test_told),
                        cmocka_unit_test(test_request),
                        cmocka_unit_test(test_waits_for_another),
        };

        int r = own_machine();

        return r ?: cmocka_run_group_tests(tests, NULL, NULL);
}

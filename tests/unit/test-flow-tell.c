/* SPDX-License-Identifier: GPL-2.0-or-later */

/* Who reads what on which terminal: Joe's session 4 is kept, root's session 5 is not. */

#include "flow/tell.h"

#include "proc/procfs.h"
#include "systemd/login.h"
#include "tests/fakes/machine.h"
#include "tests/unit/ticket.h"
#include "tty/say.h"

#define LEADER 400

static Saving saving;
static TerminalLine said[8];
static size_t n_said;

static void add_shell(Snapshot *s, pid_t pid, uid_t uid, const char *cgroup, int terminal) {
        SnapProcess p = {.pid = pid, .uid = uid, .cgroup = strdup(cgroup), .tty_index = terminal};

        assert_non_null(p.cgroup);
        assert_int_equal(model_append(s->processes, s->n_processes, p), 0);
}

/* On Debian 13 nobody but the processes tells of a terminal. */
int snapshot_take(SnapDepth depth, const pid_t *roots, size_t n, Snapshot **ret) {
        int r = fake_call("snapshot_take", "%zu", n);
        Snapshot *s;

        assert_true(depth == SNAP_PROCESSES && !roots);
        if (r < 0)
                return r;
        s = calloc(1, sizeof *s);
        assert_non_null(s);
        add_shell(s, 399, 1000, "/system.slice/app.service", 5);
        add_shell(s, 400, 0, "/user.slice/user-1000.slice/session-4.scope", 6);
        add_shell(s, 402, 1000, "/user.slice/user-1000.slice/session-4.scope", 9);
        add_shell(s, 500, 0, "/user.slice/user-0.slice/session-5.scope", -1);
        add_shell(s, 600, 1000, "/user.slice/user-1000.slice/session-10.scope", 11);
        add_shell(s, 601, 1000, "/user.slice/user-1000.slice/session-10.scope", 13);
        add_shell(s, 502, 0, "/user.slice/user-0.slice/session-5.scope", 7);
        *ret = s;
        return 0;
}

static Session *session(const char *id, uint32_t uid, uint32_t leader) {
        Session *s = model_new(Session, session__init);
        char scope[32];

        assert_non_null(s);
        snprintf(scope, sizeof scope, "session-%s.scope", id);
        assert_int_equal(model_set_string(&s->id, id), 0);
        assert_int_equal(model_set_string(&s->user, "somebody"), 0);
        assert_int_equal(model_set_string(&s->scope, scope), 0);
        s->uid = uid;
        s->leader = leader;
        s->has_leader = true;
        return s;
}

int login_sessions(const char *root, Session ***ret, size_t *ret_n) {
        Session *closing;

        assert_string_equal(root, "");
        *ret_n = 0;
        *ret = NULL;
        assert_int_equal(model_append(*ret, *ret_n, session("4", 1000, LEADER)), 0);
        assert_int_equal(model_append(*ret, *ret_n, session("5", 0, 500)), 0);
        assert_int_equal(model_append(*ret, *ret_n, session("10", 1000, 599)), 0);
        closing = session("11", 1000, 699);
        assert_int_equal(model_set_string(&closing->tty, "pts/12"), 0);
        assert_int_equal(model_set_string(&closing->state_file, "STATE=closing\n"), 0);
        assert_int_equal(model_append(*ret, *ret_n, closing), 0);
        return 0;
}

size_t terminals_say(const TerminalLine *lines, size_t n) {
        assert_true(n <= ELEMENTS(said));
        memcpy(said, lines, n * sizeof *lines);
        n_said = n;
        return n;
}

/* The line that was for this terminal, without what is around it; "": none. */
static const char *line(const char *tty, uid_t owner) {
        static char text[200];

        text[0] = '\0';
        for (size_t i = 0; i < n_said; i++) {
                if (strcmp(said[i].tty, tty) != 0)
                        continue;
                assert_int_equal(said[i].owner, owner);
                assert_int_equal(sscanf(said[i].text, "\r\n[carryover] %199[^\r]", text), 1);
                assert_string_equal(said[i].text + strlen(said[i].text) - 2, "\r\n");
        }
        return text;
}

static Tree *joes(void) {
        return saving.ticket->trees[0];
}

static int set_up(void **state) {
        Tree *tree;

        (void)fresh_machine(state);
        saving = (Saving)SAVING_INIT;
        saving.store = machine_store();
        saving.config.notify = true;
        saving.action = "kexec";
        saving.ticket = sample_ticket("aa");
        tree = sample_tree(saving.ticket, "session-4", LEADER);
        tree->uid = 1000;
        tree->session = session("4", 1000, LEADER);
        assert_int_equal(model_set_string(&tree->session->tty, "pts/3"), 0);
        n_said = 0;
        return 0;
}

static int tear_down(void **state) {
        (void)state;
        model_free(saving.ticket);
        model_free(saving.request);
        store_close(&saving.store);
        return 0;
}

static Outcome *outcome(Tree *tree, Outcome__State is, uint64_t gap) {
        tree->outcome = model_new(Outcome, outcome__init);
        assert_non_null(tree->outcome);
        tree->outcome->state = is;
        tree->outcome->has_gap = gap > 0;
        tree->outcome->gap = gap;
        return tree->outcome;
}

static void test_before(void **state) {
        (void)state;
        tell_begun(&saving);
        assert_int_equal(n_said, 3); /* and not who is just going */
        assert_string_equal(line("pts/11", 1000), "this machine reboots, and this session ends");
        assert_string_equal(line("pts/3", 1000), "this session is carried over the reboot");
        assert_string_equal(line("pts/7", 0), "this machine reboots, and this session ends");
        saving.action = "poweroff";
        tell_begun(&saving);
        assert_string_equal(line("pts/3", 1000), "this session is saved and continues at the next boot");
        assert_string_equal(line("pts/7", 0), "this machine shuts down, and this session ends");
}

static void test_soft_reboot(void **state) {
        (void)state;
        saving.action = "soft-reboot";
        tell_begun(&saving);
        assert_string_equal(line("pts/3", 1000), "this session is carried over the soft-reboot");
        assert_string_equal(line("pts/7", 0), "this machine restarts its user space, and this session ends");
}

static void test_as_long_as_the_last_time(void **state) {
        _cleanup_(ticket_freep) Ticket *last = sample_ticket("bb");

        (void)state;
        (void)outcome(sample_tree(last, "one", 4000001), OUTCOME__STATE__CARRIED, 16600000);
        assert_int_equal(store_report_write(&saving.store, last), 0);
        tell_begun(&saving);
        assert_string_equal(line("pts/3", 1000),
                            "this session is carried over the reboot and silent for about 17 s");
}

/* It is kept, and cannot be saved. */
static void test_refused(void **state) {
        (void)state;
        (void)outcome(joes(), OUTCOME__STATE__LEFT, 0);
        tell_begun(&saving);
        assert_int_equal(n_said, 3);
        assert_string_equal(line("pts/3", 1000), "");
        assert_string_equal(line("pts/9", 1000), "this machine reboots, and this session ends");
}

/* A job of it is kept, and not itself. */
static void test_a_job(void **state) {
        (void)state;
        joes()->root_pid = 390;
        tell_begun(&saving);
        assert_string_equal(line("pts/3", 1000), "");
        assert_string_equal(line("pts/9", 1000), "this machine reboots, and this session ends");
}

/* What cannot be found out stops nothing. */
static void test_nobody_else_is_known(void **state) {
        (void)state;
        fake_fail("snapshot_take", 1, -EIO);
        tell_begun(&saving);
        assert_true(fake_struck());
        assert_int_equal(n_said, 1);
}

static void ask(const char *target) {
        saving.request = model_new(Request, request__init);
        assert_non_null(saving.request);
        assert_int_equal(model_set_string(&saving.request->action, "kexec"), 0);
        assert_int_equal(model_set_string(&saving.request->target, target), 0);
}

static void test_stopped(void **state) {
        (void)state;
        tell_stopped(&saving); /* nobody has heard of it */
        assert_int_equal(n_said, 0);
        tell_begun(&saving);
        tell_stopped(&saving);
        assert_int_equal(n_said, 1);
        assert_string_equal(line("pts/3", 1000),
                            "this session could not be saved, and ends with this shutdown");
        ask("session:9");
        tell_begun(&saving);
        tell_stopped(&saving);
        assert_int_equal(n_said, 3);
        assert_string_equal(line("pts/3", 1000), "not rebooted: this session continues");
        assert_string_equal(line("pts/7", 0), "not rebooted: this session continues");
}

static void back(const char *boot) {
        n_said = 0;
        assert_int_equal(model_set_string(&saving.ticket->new_boot, boot), 0);
        assert_int_equal(model_set_string(&saving.ticket->new_kernel, "6.12.118"), 0);
        tell_carried(&saving.config, saving.ticket, joes());
}

static void test_after(void **state) {
        (void)state;
        (void)outcome(joes(), OUTCOME__STATE__CARRIED, 19730000);
        back("next");
        assert_int_equal(n_said, 1);
        assert_string_equal(line("pts/3", 1000), "back in Linux 6.12.118 after 19.7 s");
        back(saving.ticket->old_boot);
        assert_string_equal(line("pts/3", 1000),
                            "back in Linux 6.12.118 after 19.7 s: the machine was not rebooted");
        free(TAKE(joes()->session->tty));
        back("next");
        assert_int_equal(n_said, 0);
}

/* It prints its report there, and nothing is said twice. */
static void test_where_reboot_waits(void **state) {
        (void)state;
        ask("session:4");
        tell_begun(&saving);
        assert_true(joes()->asked);
        assert_string_equal(line("pts/3", 1000), "this session is carried over the reboot");
        tell_stopped(&saving);
        assert_string_equal(line("pts/3", 1000), "");
        assert_string_equal(line("pts/7", 0), "not rebooted: this session continues");
        (void)outcome(joes(), OUTCOME__STATE__CARRIED, 19730000);
        back("next");
        assert_int_equal(n_said, 0);
}

static void test_not_wanted(void **state) {
        (void)state;
        saving.config.notify = false;
        ask("session:4");
        tell_begun(&saving);
        tell_stopped(&saving);
        assert_true(joes()->asked);
        joes()->asked = false;
        (void)outcome(joes(), OUTCOME__STATE__CARRIED, 19730000);
        back("next");
        assert_int_equal(n_said, 0);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                        cmocka_unit_test_setup_teardown(test_before, set_up, tear_down),
                        cmocka_unit_test_setup_teardown(test_as_long_as_the_last_time, set_up, tear_down),
                        cmocka_unit_test_setup_teardown(test_refused, set_up, tear_down),
                        cmocka_unit_test_setup_teardown(test_a_job, set_up, tear_down),
                        cmocka_unit_test_setup_teardown(test_nobody_else_is_known, set_up, tear_down),
                        cmocka_unit_test_setup_teardown(test_stopped, set_up, tear_down),
                        cmocka_unit_test_setup_teardown(test_after, set_up, tear_down),
                        cmocka_unit_test_setup_teardown(test_soft_reboot, set_up, tear_down),
                        cmocka_unit_test_setup_teardown(test_where_reboot_waits, set_up, tear_down),
                        cmocka_unit_test_setup_teardown(test_not_wanted, set_up, tear_down),
        };
        int r = own_machine();

        return r ?: cmocka_run_group_tests(tests, NULL, NULL);
}

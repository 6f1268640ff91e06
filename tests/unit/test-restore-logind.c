/* SPDX-License-Identifier: GPL-2.0-or-later */

/* The files of a login session that comes back: what logind must find when it starts, the login record, and
 * what is not touched. Needs root: /run is of the test's own. */

#include "restore/restore.h"

#include "base/cleanup.h"
#include "base/err.h"
#include "systemd/bus.h"
#include "tests/fakes/machine.h"
#include "tests/unit/made.h"

#include <errno.h>
#include <sys/stat.h>
#include <utmpx.h>

#define SESSION_FILE "/run/systemd/sessions/4"
#define USER_FILE    "/run/systemd/users/1000"
#define ROOT_PID     400

static const char *logind_state;

static int somebody;
#define MANAGER ((Bus *)&somebody)

int bus_unit_property(Bus *bus, const char *unit, const char *interface, const char *property, char **ret) {
        assert_ptr_equal(bus, MANAGER);
        (void)interface;
        (void)property;
        assert_string_equal(unit, "systemd-logind.service");
        if (!logind_state)
                return -EIO;
        *ret = strdup(logind_state);
        return *ret ? 0 : -ENOMEM;
}

/* Joe's session 4 on pts/3: its leader is the root of the tree, which has come back as 777. */
static Tree *joes_tree(void) {
        Tree *tree = model_new(Tree, tree__init);
        struct utmpx login = {.ut_type = USER_PROCESS, .ut_pid = ROOT_PID, .ut_id = "ts/3"};

        assert_non_null(tree);
        tree->uid = 1000;
        tree->root_pid = ROOT_PID;
        tree->session = model_new(Session, session__init);
        tree->outcome = model_new(Outcome, outcome__init);
        assert_true(tree->session && tree->outcome);
        tree->session->uid = 1000;
        tree->session->has_leader = true;
        tree->session->leader = ROOT_PID;
        tree->outcome->has_root_pid = true;
        tree->outcome->root_pid = 777;
        assert_int_equal(model_set_string(&tree->session->id, "4"), 0);
        assert_int_equal(model_set_string(&tree->session->user, "joe"), 0);
        assert_int_equal(model_set_string(&tree->session->scope, "session-4.scope"), 0);
        assert_int_equal(model_set_string(&tree->session->tty, "pts/3"), 0);
        assert_int_equal(model_set_string(&tree->session->state_file,
                                          "UID=1000\nUSER=joe\nLEADER=400\nTTY=pts/1\n"),
                         0);
        strcpy(login.ut_line, "pts/1");
        strcpy(login.ut_user, "joe");
        tree->session->has_utmp = true;
        assert_int_equal(model_set_bytes(&tree->session->utmp, &login, sizeof login), 0);
        return tree;
}

static void holds(const char *path, const char *expected) {
        _cleanup_(freep) char *text = NULL;
        struct stat st;

        assert_int_equal(file_slurp(AT_FDCWD, path, 4096, &text, NULL), 0);
        assert_string_equal(text, expected);
        assert_int_equal(stat(path, &st), 0);
        assert_int_equal(st.st_mode & 07777, 0644); /* sd-login(3) reads it as anybody */
}

static int set_up(void **state) {
        _cleanup_(closep) int run = open("/run", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

        (void)fresh_machine(state);
        assert_int_equal(file_remove_tree(run, "systemd"), 0);
        assert_true(unlink("/run/utmp") == 0 || errno == ENOENT);
        logind_state = "inactive";
        *state = joes_tree();
        return 0;
}

static int tear_down(void **state) {
        model_free(*state);
        return 0;
}

static void test_logind_finds_it(void **state) {
        assert_int_equal(restore_login(NULL, *state), 0);
        holds(USER_FILE, "NAME=joe\nSTATE=active\n");
        holds(SESSION_FILE, "UID=1000\nUSER=joe\nSCOPE=session-4.scope\nLEADER=777\nTTY=pts/3\n");
        assert_int_equal(access("/run/utmp", F_OK), -1); /* Debian 13 has none */
}

static void test_logind_runs_already(void **state) {
        static const struct {
                const char *state;
                int answer;
        } rows[] = {{"active", 1}, {"activating", 1}, {"failed", 0}, {NULL, 0}};

        for (size_t i = 0; i < ELEMENTS(rows); i++) {
                logind_state = rows[i].state;
                assert_int_equal(restore_login(MANAGER, *state), rows[i].answer);
                assert_int_equal(restore_login(NULL, *state), 0);
        }
}

/* He has logged in again. */
static void test_user_is_there(void **state) {
        make_file("/run/systemd/users", "1000", "NAME=joe\nSTATE=online\n");
        assert_int_equal(restore_login(NULL, *state), 0);
        holds(USER_FILE, "NAME=joe\nSTATE=online\n");
        assert_int_equal(access(SESSION_FILE, F_OK), 0);
}

/* The record speaks of the leader's tree, in whichever order they come. */
static void test_another_tree_of_it(void **state) {
        Tree *tree = *state;

        tree->root_pid = 391;
        tree->outcome->root_pid = 391;
        make_file("/run/systemd/sessions", "4", "LEADER=777\n");
        assert_int_equal(restore_login(NULL, tree), 0);
        holds(SESSION_FILE, "LEADER=777\n");
        assert_int_equal(unlink(SESSION_FILE), 0);
        assert_int_equal(restore_login(NULL, tree), 0); /* the leader may never come */
        holds(SESSION_FILE, "UID=1000\nUSER=joe\nSCOPE=session-4.scope\nLEADER=391\nTTY=pts/3\n");
        tree->root_pid = ROOT_PID;
        tree->outcome->root_pid = 777;
        assert_int_equal(restore_login(NULL, tree), 0);
        holds(SESSION_FILE, "UID=1000\nUSER=joe\nSCOPE=session-4.scope\nLEADER=777\nTTY=pts/3\n");
}

static void test_not_his(void **state) {
        Tree *tree = *state;

        tree->uid = 33; /* somebody else's job in it */
        assert_int_equal(restore_login(NULL, tree), 0);
        tree->uid = 1000;
        free(TAKE(tree->session->state_file));
        assert_int_equal(restore_login(NULL, tree), 0);
        assert_int_equal(access("/run/systemd", F_OK), -1);
}

static void is_recorded(const char *line, pid_t pid) {
        struct utmpx wanted = {.ut_type = USER_PROCESS, .ut_id = "ts/3"}, *found;

        setutxent();
        found = getutxid(&wanted);
        assert_non_null(found);
        assert_string_equal(found->ut_user, "joe");
        assert_string_equal(found->ut_line, line);
        assert_int_equal(found->ut_pid, pid);
        endutxent();
}

static void make_utmp(void) {
        int fd = open("/run/utmp", O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);

        assert_true(fd >= 0);
        fd_close(fd);
}

static void test_login_record(void **state) {
        Tree *tree = *state;

        make_utmp();
        assert_int_equal(restore_login(NULL, tree), 0);
        is_recorded("pts/3", 777);
        make_utmp();
        tree->outcome->root_pid = ROOT_PID; /* with its own numbers */
        free(TAKE(tree->session->tty));
        assert_int_equal(restore_login(NULL, tree), 0);
        is_recorded("pts/1", ROOT_PID);
}

/* Nothing is recorded of what is none; the tree has its session all the same. */
static void test_bad_login_record(void **state) {
        Tree *tree = *state;
        struct utmpx *login = (struct utmpx *)(void *)tree->session->utmp.data;
        struct stat st;

        make_utmp();
        login->ut_type = DEAD_PROCESS;
        assert_int_equal(restore_login(NULL, tree), -EBADMSG);
        assert_non_null(strstr(err_text(-EBADMSG), "is not a login"));
        login->ut_type = USER_PROCESS;
        tree->session->utmp.len--;
        assert_int_equal(restore_login(NULL, tree), -EBADMSG);
        assert_non_null(strstr(err_text(-EBADMSG), "invalid size"));
        tree->session->utmp.len++;
        assert_int_equal(stat("/run/utmp", &st), 0);
        assert_int_equal(st.st_size, 0);
        assert_int_equal(access(SESSION_FILE, F_OK), 0);
}

/* Something else is in the way: it is said, with its name. */
static void test_in_the_way(void **state) {
        static const char *const files[] = {"/run/systemd/users", "/run/systemd/sessions"};

        for (size_t i = 0; i < ELEMENTS(files); i++) {
                _cleanup_(closep) int dir = open_dirs("/run/systemd", 0755);

                assert_int_equal(file_remove_tree(dir, "users"), 0);
                assert_int_equal(file_remove_tree(dir, "sessions"), 0);
                make_file("/run/systemd", strrchr(files[i], '/') + 1, "");
                assert_true(restore_login(NULL, *state) < 0);
                assert_non_null(strstr(err_text(-ENOTDIR), files[i]));
        }
}

int main(void) {
        const struct CMUnitTest tests[] = {
                        cmocka_unit_test_setup_teardown(test_logind_finds_it, set_up, tear_down),
                        cmocka_unit_test_setup_teardown(test_logind_runs_already, set_up, tear_down),
                        cmocka_unit_test_setup_teardown(test_user_is_there, set_up, tear_down),
                        cmocka_unit_test_setup_teardown(test_another_tree_of_it, set_up, tear_down),
                        cmocka_unit_test_setup_teardown(test_not_his, set_up, tear_down),
                        cmocka_unit_test_setup_teardown(test_login_record, set_up, tear_down),
                        cmocka_unit_test_setup_teardown(test_bad_login_record, set_up, tear_down),
                        cmocka_unit_test_setup_teardown(test_in_the_way, set_up, tear_down),
        };

        int r = own_machine();

        return r ?: cmocka_run_group_tests(tests, NULL, NULL);
}

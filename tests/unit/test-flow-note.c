/* SPDX-License-Identifier: GPL-2.0-or-later */

/* What is said of the reboot that is due, at the end of an upgrade and on the terminal of a session: which
 * sessions go along, which end, and nothing where nothing is due. */

#include "base/cleanup.h"
#include "flow/flow.h"
#include "kernel/ids.h"
#include "model/model.h"
#include "proc/procfs.h"
#include "systemd/login.h"
#include "tests/fakes/machine.h"
#include "tests/unit/select-world.h"
#include "tty/say.h"

#include <sys/mman.h>

#define DUE     "Linux " FAKE_NEXT " is installed, Linux " FAKE_KERNEL " is running"
#define CARRIED "\r\nA reboot is due: " DUE ". It will carry this session.\r\n"
#define ENDED                                                                                               \
        "\r\nA reboot is due: " DUE ". It will end this session; to keep it, run: sudo carryover keep.\r\n"

#define BASH_OF_JOE  402
#define DAEMON       800 /* in no session */
#define BASH_OF_ROOT 502

static const char *user_of_4;
static bool joe_has_terminal;

static void terminals(World *w) {
        world_at(w->s, BASH_OF_ROOT)->tty_index = 7;
        world_at(w->s, BASH_OF_JOE)->tty_index = joe_has_terminal ? 3 : -1;
}

int snapshot_take(SnapDepth depth, const pid_t *roots, size_t n, Snapshot **ret) {
        int r = fake_call("snapshot_take", "%zu", n);
        void *made;
        World *w;

        (void)depth;
        (void)roots;
        if (r < 0)
                return r;
        (void)setup(&made);
        w = made;
        terminals(w);
        *ret = TAKE(w->s);
        (void)teardown(&made);
        return 0;
}

int login_sessions(const char *root, Session ***ret, size_t *ret_n) {
        Session *four = session("4", 1000, 400, "sshd"), *five = session("5", 0, 500, "sshd");

        (void)root;
        assert_int_equal(model_set_string(&four->user, user_of_4), 0);
        *ret = NULL;
        *ret_n = 0;
        assert_int_equal(model_append(*ret, *ret_n, four) | model_append(*ret, *ret_n, five), 0);
        return fake_call("login_sessions", "%s", "");
}

/* What was written to terminals, and by the program itself: descriptors that the child shares. */
static int told_fd, out_fd, err_fd;
static char told[1024], out[1024], err[1024];

int terminal_tell(const char *tty, const char *text) {
        int r = fake_call("terminal_tell", "%s", tty);

        return r < 0 ? r : dprintf(told_fd, "%s", text) < 0 ? -EIO : 0;
}

static int run_note(void *userdata) {
        const pid_t *of = userdata;

        (void)dup2(out_fd, STDOUT_FILENO);
        (void)dup2(err_fd, STDERR_FILENO);
        return flow_note(*of);
}

static void take(int fd, char *text, size_t size) {
        ssize_t n = pread(fd, text, size - 1, 0);

        assert_in_range(n, 0, (ssize_t)size - 1);
        text[n] = '\0';
        assert_int_equal(ftruncate(fd, 0) | (int)lseek(fd, 0, SEEK_SET), 0);
}

static int note(pid_t of) {
        int status;

        fake_forget_events();
        status = fake_run(run_note, &of);
        take(told_fd, told, sizeof told);
        take(out_fd, out, sizeof out);
        take(err_fd, err, sizeof err);
        return status;
}

static void keep(const char *target) {
        Keep *list = model_new(Keep, keep__init);
        char *copy = strdup(target);

        assert_true(list && copy);
        assert_int_equal(model_append(list->targets, list->n_targets, copy), 0);
        assert_int_equal(run_keep_write(list), 0);
        model_free(list);
}

/* The next kernel is installed, and this is a system that runs. */
static int set_up(void **state) {
        (void)fresh_machine(state);
        (void)unlink("/run/reboot-required");
        user_of_4 = "joe";
        joe_has_terminal = true;
        assert_true(mkdir("/run/systemd", 0755) == 0 || errno == EEXIST);
        assert_true(mkdir("/run/systemd/system", 0755) == 0 || errno == EEXIST);
        return 0;
}

static void test_who_goes_along(void **state) {
        (void)state;
        keep("session:4");
        assert_int_equal(note(0), 0);
        assert_string_equal(out, "A reboot is due: " DUE ".\n"
                                 "  carryover reboot would carry session:4 (joe)\n"
                                 "  carryover reboot would end, unless kept: session:5 (root)\n");
        assert_string_equal(err, "");
        assert_string_equal(told, "");
}

/* A session has several trees, and is named once. */
static void test_everybody_goes_along(void **state) {
        (void)state;
        configure("KeepSshSessions=yes\n");
        assert_int_equal(note(0), 0);
        assert_string_equal(out, "A reboot is due: " DUE ".\n"
                                 "  carryover reboot would carry session:4 (joe), session:5 (root)\n");
}

static void test_nobody_goes_along(void **state) {
        (void)state;
        assert_int_equal(note(0), 0);
        assert_string_equal(
                        out,
                        "A reboot is due: " DUE ".\n"
                        "  carryover reboot would carry nothing: see carryover keep\n"
                        "  carryover reboot would end, unless kept: session:4 (joe), session:5 (root)\n");
}

/* The name comes from a file, and goes to root's terminal. */
static void test_name_is_printable(void **state) {
        (void)state;
        user_of_4 = "j\033[2Je";
        assert_int_equal(note(0), 0);
        assert_non_null(strstr(out, "session:4 (j?[2Je)"));
}

static void assert_silent(pid_t of) {
        assert_int_equal(note(of), 0);
        assert_string_equal(out, "");
        assert_string_equal(told, "");
        assert_string_equal(err, "");
        assert_int_equal(fake_count("terminal_tell"), 0);
}

static void test_nothing_is_due(void **state) {
        (void)state;
        keep("session:4");
        fake->boot = 2; /* the next kernel runs */
        assert_silent(0);
        assert_silent(BASH_OF_JOE);
        fake_fail("kernel_find", 1, -ENOENT);
        fake_fail("kernel_find", 2, -ENOENT);
        assert_silent(0);
        assert_silent(BASH_OF_JOE);
}

static void test_packages_ask_for_it(void **state) {
        int fd = open("/run/reboot-required", O_WRONLY | O_CREAT | O_CLOEXEC, 0644);

        (void)state;
        assert_true(fd >= 0);
        fd_close(fd);
        fake->boot = 2;
        assert_int_equal(note(0), 0);
        assert_non_null(strstr(out, "A reboot is due: the system requests it.\n"));
}

/* An image is built, or somebody repairs a disk: its packages speak of no system that runs. */
static void test_not_in_another_root(void **state) {
        (void)state;
        assert_int_equal(rmdir("/run/systemd/system"), 0);
        assert_silent(0);
        assert_silent(BASH_OF_JOE);
        assert_int_equal(fake_count("snapshot_take"), 0);
}

static void test_session_is_told(void **state) {
        (void)state;
        assert_int_equal(note(BASH_OF_JOE), 0);
        assert_int_equal(fake_count("terminal_tell pts/3"), 1);
        assert_int_equal(fake_count("terminal_tell"), 1);
        assert_string_equal(told, ENDED);
        keep("session:4");
        assert_int_equal(note(BASH_OF_JOE), 0);
        assert_string_equal(told, CARRIED);
        assert_int_equal(note(BASH_OF_ROOT), 0);
        assert_int_equal(fake_count("terminal_tell pts/7"), 1);
        assert_string_equal(told, ENDED);
        assert_string_equal(out, "");
}

static void test_nobody_to_tell(void **state) {
        (void)state;
        assert_silent(DAEMON);
        joe_has_terminal = false;
        assert_silent(BASH_OF_JOE);
}

/* It is said that it cannot be said. */
static void test_fails(void **state) {
        static const char *const of_all[] = {"system_kernel", "snapshot_take", "login_sessions",
                                             "run_keep_read"};
        static const char *const of_one[] = {"system_kernel", "snapshot_take", "run_keep_read",
                                             "terminal_tell"};

        for (size_t i = 0; i < ELEMENTS(of_all) + ELEMENTS(of_one); i++) {
                bool all = i < ELEMENTS(of_all);
                const char *call = all ? of_all[i] : of_one[i - ELEMENTS(of_all)];

                (void)set_up(state);
                fake_fail(call, 1, -EIO);
                assert_int_equal(note(all ? 0 : BASH_OF_JOE), 1);
                assert_true(fake_struck());
                assert_string_equal(out, "");
                assert_string_equal(told, "");
                assert_non_null(strstr(err, "cannot determine what a reboot would carry: "));
                assert_non_null(strstr(err, call));
        }
}

int main(void) {
        const struct CMUnitTest tests[] = {
                        cmocka_unit_test_setup(test_who_goes_along, set_up),
                        cmocka_unit_test_setup(test_everybody_goes_along, set_up),
                        cmocka_unit_test_setup(test_nobody_goes_along, set_up),
                        cmocka_unit_test_setup(test_name_is_printable, set_up),
                        cmocka_unit_test_setup(test_nothing_is_due, set_up),
                        cmocka_unit_test_setup(test_packages_ask_for_it, set_up),
                        cmocka_unit_test_setup(test_not_in_another_root, set_up),
                        cmocka_unit_test_setup(test_session_is_told, set_up),
                        cmocka_unit_test_setup(test_nobody_to_tell, set_up),
                        cmocka_unit_test_setup(test_fails, set_up),
        };

        int r = own_machine();

        told_fd = memfd_create("told", MFD_CLOEXEC);
        out_fd = memfd_create("out", MFD_CLOEXEC);
        err_fd = memfd_create("err", MFD_CLOEXEC);
        return r ?: cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: GPL-2.0-or-later */

/* `carryover enter`: which tree is meant, who the shell outside is started for, and that the exit status is
 * that of what ran. Namespaces, the terminal and the service are fakes. */

#include "proc/ns.h"
#include "systemd/bus-service.h"
#include "tests/unit/cli-run.h"
#include "tests/unit/ticket.h"
#include "tty/terminal.h"

#include <pty.h>

#define INIT 4000007u

static int is_host, exit_with, started_r;
static pid_t entered;
static char ran[256];
static struct {
        char user[32], slice[32], executable[64], argv0[64], directory[128], environment[128];
        bool is_open, waited;
} shell;

int ns_is_host(void) {
        return is_host < 0 ? err_say(is_host, "there is no /proc") : is_host;
}

int ns_open_tree(pid_t init, int *ret) {
        entered = init;
        *ret = open("/dev/null", O_RDONLY | O_CLOEXEC);
        return 0;
}

int ns_run(int pidfd, char *const *argv, int *ret) {
        ran[0] = '\0';
        for (size_t i = 0; argv[i]; i++)
                snprintf(ran + strlen(ran), sizeof ran - strlen(ran), "[%s]", argv[i]);
        *ret = exit_with;
        return 0;
}

int terminal_pair_open(int like, TerminalPair *ret) {
        *ret = (TerminalPair){.master = dup(like), .slave = dup(like), .path = "/dev/pts/7"};
        return 0;
}

void terminal_pair_close(TerminalPair *pair) {
        pair->master = fd_close(pair->master);
        pair->slave = fd_close(pair->slave);
}

int terminal_forward(int in, int out, int master, int event_fd, TerminalEvent on_event, void *userdata) {
        return on_event(userdata) == 1 ? 0 : err_say(-EIO, "the shell did not end");
}

int bus_tty_service_start(const TtyServiceSpec *spec, uint64_t deadline_monotonic, TtyService **ret) {
        if (started_r < 0)
                return err_say(started_r, "systemd does not answer");
        assert_string_equal(spec->tty, "/dev/pts/7");
        assert_true(starts_with(spec->unit, "carryover-enter-") && strlen(spec->unit) == 16 + 16 + 8);
        snprintf(shell.user, sizeof shell.user, "%s", spec->user);
        snprintf(shell.slice, sizeof shell.slice, "%s", spec->slice);
        snprintf(shell.executable, sizeof shell.executable, "%s", spec->executable);
        snprintf(shell.argv0, sizeof shell.argv0, "%s", spec->argv0);
        snprintf(shell.directory, sizeof shell.directory, "%s", spec->directory);
        shell.environment[0] = '\0';
        for (size_t i = 0; spec->environment[i]; i++)
                snprintf(shell.environment + strlen(shell.environment),
                         sizeof shell.environment - strlen(shell.environment), "[%s]", spec->environment[i]);
        shell.is_open = true;
        *ret = (TtyService *)&shell;
        return 0;
}

TtyService *bus_tty_service_free(TtyService *service) {
        shell.is_open = shell.is_open && !service;
        return NULL;
}

int bus_tty_service_fd(TtyService *service) {
        return -1;
}

int bus_tty_service_process(TtyService *service) {
        return 1;
}

int bus_tty_service_wait(TtyService *service, uint64_t deadline_monotonic, int *ret) {
        shell.waited = true;
        *ret = exit_with;
        return 0;
}

static void write_text(const char *path, const char *text) {
        int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);

        assert_true(fd >= 0);
        assert_int_equal(fd_write_all(fd, text, strlen(text)), 0);
        (void)fd_close(fd);
}

static int set_up(void **state) {
        (void)fresh_machine(state);
        write_text("/etc/nsswitch.conf", "passwd: files\n");
        write_text("/etc/passwd", "root:x:0:0::/root:/bin/rootsh\n"
                                  "anna:x:1000:1000::/home/anna:/usr/bin/annash\n"
                                  "bare:x:1001:1001::/:\n");
        is_host = 1;
        started_r = exit_with = 0;
        entered = 0;
        memset(&shell, 0, sizeof shell);
        (void)unsetenv("SUDO_UID");
        return 0;
}

/* What the restore of this boot has reported of the tree "one". */
static void carried(const char *mode, Outcome__State state, unsigned boot) {
        _cleanup_(ticket_freep) Ticket *t = sample_ticket("aa");
        Tree *tree = sample_tree(t, "one", 4000001);
        Store store = machine_store();
        char id[37];

        snprintf(id, sizeof id, FAKE_BOOT, boot);
        assert_int_equal(model_set_string(&t->new_boot, id), 0);
        tree->outcome = model_new(Outcome, outcome__init);
        assert_non_null(tree->outcome);
        tree->outcome->state = state;
        tree->outcome->has_root_pid = true;
        tree->outcome->root_pid = INIT;
        assert_int_equal(model_set_string(&tree->outcome->mode, mode), 0);
        assert_int_equal(store_report_write(&store, t), 0);
        store_close(&store);
}

/* Into a tree. */

static void test_in(void **state) {
        carried("namespace", OUTCOME__STATE__CARRIED, 1);
        exit_with = 7;
        assert_int_equal(cli("enter", "one", "--", "ls", "-l"), 7);
        assert_int_equal(entered, INIT);
        assert_string_equal(ran, "[ls][-l]");
        exit_with = 0;
        assert_int_equal(cli("enter", "session:4"), EXIT_OK); /* by its target */
        assert_int_equal(entered, INIT);
        assert_string_equal(ran, "[/bin/rootsh]");
        assert_string_equal(cli_err, "");
}

static void test_not_in(void **state) {
        assert_int_equal(cli("enter", "one"), EXIT_FAILED);
        cli_says("no tree 'one' was carried into this boot");
        carried("namespace", OUTCOME__STATE__CARRIED, 2); /* its number is somebody else's by now */
        assert_int_equal(cli("enter", "one"), EXIT_FAILED);
        cli_says("no tree 'one' was carried into this boot");
        carried("namespace", OUTCOME__STATE__FAILED, 1);
        assert_int_equal(cli("enter", "one"), EXIT_FAILED);
        cli_says("no tree 'one' was carried into this boot");
        carried("host", OUTCOME__STATE__CARRIED, 1);
        assert_int_equal(cli("enter", "two"), EXIT_FAILED);
        cli_says("no tree 'two'");
        assert_int_equal(cli("enter", "one"), EXIT_FAILED);
        cli_says("nothing to enter");
        assert_int_equal(entered, 0);
}

static void test_which_way(void **state) {
        assert_int_equal(cli("enter"), EXIT_FAILED);
        cli_says("already on the host");
        is_host = 0;
        assert_int_equal(cli("enter", "one"), EXIT_FAILED);
        cli_says("use carryover enter without a name");
        is_host = -ENOENT;
        assert_int_equal(cli("enter"), EXIT_FAILED);
        cli_says("there is no /proc");
}

/* Out of one. */

static void leave(void) {
        int master, slave, kept_in = dup(STDIN_FILENO);

        assert_int_equal(openpty(&master, &slave, NULL, NULL, NULL), 0);
        (void)dup2(slave, STDIN_FILENO);
        (void)cli_call(slave, CLI_WORDS("enter"));
        (void)dup2(kept_in, STDIN_FILENO);
        (void)close(kept_in);
        (void)close(slave);
        (void)close(master);
}

static void test_out(void **state) {
        is_host = 0;
        exit_with = 130;
        (void)setenv("TERM", "xterm", 1);
        (void)setenv("LANG", "C.UTF-8", 1);
        (void)setenv("SECRET", "x", 1);
        assert_int_equal(chdir("/etc"), 0);
        leave();
        assert_int_equal(cli_status, 130);
        assert_string_equal(cli_err, "");
        assert_string_equal(shell.user, "root");
        assert_string_equal(shell.slice, "user-0.slice");
        assert_string_equal(shell.executable, "/bin/rootsh");
        assert_string_equal(shell.argv0, "-rootsh");
        assert_string_equal(shell.directory, "/etc");
        assert_non_null(strstr(shell.environment, "[TERM=xterm]"));
        assert_non_null(strstr(shell.environment, "[LANG=C.UTF-8]"));
        assert_null(strstr(shell.environment, "SECRET"));
        assert_true(shell.waited && !shell.is_open);
}

/* sudo does not make a shell of root's. */
static void test_out_for_whom(void **state) {
        is_host = 0;
        (void)setenv("SUDO_UID", "1000", 1);
        leave();
        assert_int_equal(cli_status, EXIT_OK);
        assert_string_equal(shell.user, "anna");
        assert_string_equal(shell.slice, "user-1000.slice");
        assert_string_equal(shell.argv0, "-annash");
        (void)setenv("SUDO_UID", "1001", 1); /* who has no shell of his own */
        leave();
        assert_string_equal(shell.executable, "/bin/sh");
        (void)setenv("SUDO_UID", "1002", 1);
        leave();
        assert_int_equal(cli_status, EXIT_FAILED);
        cli_says("user 1002 does not exist");
        (void)setenv("SUDO_UID", "1000; x", 1);
        leave();
        assert_int_equal(cli_status, EXIT_FAILED);
        cli_says("SUDO_UID is not a valid user: '1000; x'");
}

static void test_not_out(void **state) {
        is_host = 0;
        assert_int_equal(cli("enter"), EXIT_FAILED);
        cli_says("enter requires a terminal as standard input and output");
        started_r = -ETIMEDOUT;
        leave();
        assert_int_equal(cli_status, EXIT_FAILED);
        cli_says("systemd does not answer");
}

#define WITH_SET_UP(test) cmocka_unit_test_setup(test, set_up)

int main(void) {
        const struct CMUnitTest tests[] = {
                        WITH_SET_UP(test_in),  WITH_SET_UP(test_not_in),       WITH_SET_UP(test_which_way),
                        WITH_SET_UP(test_out), WITH_SET_UP(test_out_for_whom), WITH_SET_UP(test_not_out),
        };
        int r = own_machine();

        return r ?: cmocka_run_group_tests(tests, NULL, NULL);
}

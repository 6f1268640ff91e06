/* SPDX-License-Identifier: GPL-2.0-or-later */

/* How the waiting `carryover reboot` finds its answer, and that it ends without one. Needs root: /run is
 * replaced by a tmpfs in a mount namespace of the test's own. */

#include "../../src/report/wait.c"

#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <sys/mount.h>

#include <cmocka.h>

#define MINE 4711u

static Config config = {.store = "/run/test-store"};

static Ticket *report_of(uint64_t request) {
        Ticket *t = model_new(Ticket, ticket__init);

        assert_non_null(t);
        t->has_request_at = true;
        t->request_at = request;
        assert_int_equal(model_set_string(&t->id, "aa") | model_set_string(&t->version, "1") |
                                         model_set_string(&t->old_boot, "b") |
                                         model_set_string(&t->old_kernel, "k") |
                                         model_set_string(&t->machine, "m") |
                                         model_set_string(&t->action, "kexec") |
                                         model_set_string(&t->hold_backend, "auto"),
                         0);
        return t;
}

static void requested(void) {
        Request request = REQUEST__INIT;

        request.action = (char *)"kexec";
        request.realtime = MINE;
        assert_int_equal(run_request_write(&request), 0);
}

static void test_answer(void **state) {
        _cleanup_(ticket_freep) Ticket *other = report_of(1), *mine = report_of(MINE), *got = NULL;
        Wait w = {.config = &config, .request = MINE};
        Store store;

        assert_int_equal(store_open(&config, &store), 0);
        requested();
        assert_int_equal(answer(&w, &got), 1);
        assert_int_equal(store_report_write(&store, other), 0);
        assert_int_equal(answer(&w, &got), 1);
        assert_int_equal(store_report_write(&store, mine), 0);
        assert_int_equal(answer(&w, &got), 0);
        assert_int_equal(got->request_at, MINE);
        store_close(&store);
}

/* A restore that ended without being able to say so. */
static void test_unreported(void **state) {
        Wait w = {.config = &config, .request = MINE + 1};
        Ticket *got = NULL;
        Store store;

        assert_int_equal(store_open(&config, &store), 0);
        assert_int_equal(file_replace(store.fd, "ticket.claimed", "", 0), 0);
        (void)run_request_remove();
        assert_int_equal(run_unreported(false), 0);
        assert_int_equal(answer(&w, &got), 1);
        assert_int_equal(run_unreported(true), 0);
        assert_int_equal(answer(&w, &got), -ENODATA);
        assert_int_equal(unlinkat(store.fd, "ticket.claimed", 0), 0);
        store_close(&store);
}

/* What does not change is not opened: it would be open at the freeze. */
static void test_sight(void **state) {
        Sight sight = {0};

        assert_false(has_changed("/run/none", &sight));
        assert_int_equal(close(open("/run/some", O_CREAT | O_WRONLY | O_CLOEXEC, 0600)), 0);
        assert_true(has_changed("/run/some", &sight));
        assert_false(has_changed("/run/some", &sight));
        assert_int_equal(truncate("/run/some", 1), 0);
        assert_true(has_changed("/run/some", &sight));
}

/* The save could not begin, or its restore ended without a report. */
static void test_nobody_answers(void **state) {
        _cleanup_(ticket_freep) Ticket *other = report_of(1), *got = NULL;
        Wait w = {.config = &config, .request = MINE};
        Store store;

        assert_int_equal(store_open(&config, &store), 0);
        requested();
        assert_int_equal(store_report_write(&store, other), 0);
        assert_int_equal(answer(&w, &got), 1);
        assert_int_equal(run_request_remove(), 0);
        assert_int_equal(store_seal(&store, other, NULL), 0);
        assert_int_equal(answer(&w, &got), 1);
        assert_int_equal(run_unreported(false), 0);
        assert_int_equal(store_claim(&store, other), 0);
        assert_int_equal(answer(&w, &got), 1);
        assert_int_equal(store_report_write(&store, other), 0);
        assert_int_equal(answer(&w, &got), -ENODATA);
        assert_non_null(strstr(err_text(-ENODATA), "journalctl"));
        store_close(&store);
}

/* The restore ended because of the next shutdown, and what waits is sealed again. */
static void test_not_all_yet(void **state) {
        _cleanup_(ticket_freep) Ticket *mine = report_of(MINE), *got = NULL;
        Wait w = {.config = &config, .request = MINE};
        Tree *tree = model_new(Tree, tree__init);
        Store store;

        assert_non_null(tree);
        assert_int_equal(model_set_string(&tree->name, "a") | model_set_string(&tree->target, "a") |
                                         model_set_string(&tree->comm, "a"),
                         0);
        tree->root_pid = 4;
        assert_int_equal(model_append(mine->trees, mine->n_trees, tree), 0);
        assert_int_equal(store_open(&config, &store), 0);
        assert_int_equal(store_seal(&store, mine, NULL), 0);
        assert_int_equal(store_report_write(&store, mine), 0);
        assert_int_equal(answer(&w, &got), 1);
        assert_int_equal(store_unseal(&store, NULL), 0);
        assert_int_equal(answer(&w, &got), 0);
        store_close(&store);
}

/* What was not back when the next save began came back with that one, and its report is there alone. */
static void test_later_report(void **state) {
        _cleanup_(ticket_freep) Ticket *later = report_of(MINE + 5), *got = NULL;
        Wait w = {.config = &config, .request = MINE};
        Store store;

        assert_int_equal(store_open(&config, &store), 0);
        requested();
        later->sealed_at = MINE + 7;
        later->has_done_at = true;
        later->done_at = MINE + 9;
        assert_int_equal(store_report_write(&store, later), 0);
        assert_int_equal(answer(&w, &got), 1);
        assert_int_equal(run_request_remove(), 0);
        assert_int_equal(answer(&w, &got), 0);
        assert_int_equal(got->request_at, MINE + 5);
        store_close(&store);
}

static int terminal_begin(void) {
        struct winsize size = {.ws_col = 60, .ws_row = 24};
        int master = posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC | O_NONBLOCK), slave;

        assert_true(master >= 0 && unlockpt(master) == 0);
        slave = open(ptsname(master), O_RDWR | O_NOCTTY | O_CLOEXEC);
        assert_true(slave >= 0 && ioctl(slave, TIOCSWINSZ, &size) == 0);
        assert_int_equal(dup2(slave, STDOUT_FILENO), STDOUT_FILENO);
        (void)fd_close(slave);
        assert_int_equal(setenv("TERM", "xterm", 1) | unsetenv("NO_COLOR"), 0);
        return master;
}

static const char *terminal_text(int master) {
        static char text[4096];
        ssize_t n = read(master, text, sizeof text - 1);

        text[n > 0 ? n : 0] = '\0';
        return text;
}

/* One line, written over once a second, which is no longer than the terminal is wide. */
static void test_line(void **state) {
        int out = dup(STDOUT_FILENO), master = terminal_begin();
        Wait w = {.config = &config, .request = now_realtime(), .interrupted = wait_say_late};
        Store store;

        (void)state;
        assert_int_equal(run_seal_allow(), 0);
        show_line(&w);
        assert_string_equal(terminal_text(master), "\r\033[Kwaiting for the save (0 s)");
        show_line(&w);
        assert_string_equal(terminal_text(master), "");
        w.request -= 12 * USEC_PER_SEC;
        assert_int_equal(run_waits_for("slow.service\033[31m"), 0);
        show_line(&w);
        assert_string_equal(terminal_text(master),
                            "\r\033[Kwaiting for services to stop: slow.service?[31m (12 s)");
        w.request -= USEC_PER_SEC;
        assert_int_equal(run_waits_for("a-service-with-a-name.service, another-one-that-is-longer.service"),
                         0);
        show_line(&w);
        assert_int_equal(strlen(terminal_text(master)), strlen("\r\033[K") + 59);
        w.request -= USEC_PER_SEC;
        assert_int_equal(run_waits_for(NULL) | run_call_off(), 0);
        show_line(&w);
        assert_string_equal(terminal_text(master),
                            "\r\033[Kwaiting for the save to release the trees (14 s)");
        w.request -= USEC_PER_SEC;
        assert_int_equal(store_open(&config, &store) | file_replace(store.fd, "ticket.claimed", "", 0), 0);
        assert_int_equal(run_waits_for("session-4"), 0);
        show_line(&w);
        assert_string_equal(terminal_text(master), "\r\033[Kwaiting for the restore of session-4 (15 s)");
        assert_int_equal(unlinkat(store.fd, "ticket.claimed", 0) | run_waits_for(NULL), 0);
        store_close(&store);
        clear_line(&w);
        assert_string_equal(terminal_text(master), "\r\033[K");
        clear_line(&w);
        assert_string_equal(terminal_text(master), "");
        assert_int_equal(setenv("NO_COLOR", "1", 1), 0);
        show_line(&w);
        assert_string_equal(terminal_text(master), "");
        assert_int_equal(dup2(out, STDOUT_FILENO), STDOUT_FILENO);
        (void)fd_close(out);
        (void)fd_close(master);
}

/* Where nobody looks, nothing is written. */
static void test_no_line_in_a_pipe(void **state) {
        int out = dup(STDOUT_FILENO), ends[2];
        Wait w = {.config = &config, .request = 1};
        char byte;

        (void)state;
        assert_int_equal(pipe2(ends, O_CLOEXEC | O_NONBLOCK), 0);
        assert_int_equal(dup2(ends[1], STDOUT_FILENO), STDOUT_FILENO);
        assert_int_equal(setenv("TERM", "xterm", 1) | unsetenv("NO_COLOR"), 0);
        show_line(&w);
        clear_line(&w);
        assert_int_equal(dup2(out, STDOUT_FILENO), STDOUT_FILENO);
        assert_int_equal(read(ends[0], &byte, 1), -1);
        (void)fd_close(out);
        (void)fd_close(ends[0]);
        (void)fd_close(ends[1]);
}

/* A job that a script has put behind itself is not stopped by the script's Ctrl-C. */
static void test_interrupt(void **state) {
        (void)state;
        assert_true(signal(SIGINT, SIG_IGN) != SIG_ERR);
        interrupt_catch();
        (void)raise(SIGINT);
        assert_false(interrupt_caught());
        assert_true(signal(SIGINT, SIG_DFL) == SIG_IGN);
        interrupt_catch();
        assert_false(interrupt_caught());
        (void)raise(SIGINT);
        assert_true(interrupt_caught());
        interrupt_release();
        assert_false(interrupt_caught());
        assert_true(signal(SIGINT, SIG_DFL) == SIG_DFL);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                        cmocka_unit_test(test_answer),      cmocka_unit_test(test_unreported),
                        cmocka_unit_test(test_sight),       cmocka_unit_test(test_nobody_answers),
                        cmocka_unit_test(test_not_all_yet), cmocka_unit_test(test_later_report),
                        cmocka_unit_test(test_line),        cmocka_unit_test(test_no_line_in_a_pipe),
                        cmocka_unit_test(test_interrupt),
        };

        if (unshare(CLONE_NEWNS) < 0 || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0 ||
            mount("tmpfs", "/run", "tmpfs", 0, "mode=0755") < 0)
                return 77;
        return cmocka_run_group_tests(tests, NULL, NULL);
}
